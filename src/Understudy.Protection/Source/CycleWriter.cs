using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Protection.Source;

/// <summary>
/// Turns content into records, in order, and puts them into the spool. Zeros are found block by block; neighbouring zero
/// blocks become one record, or none where the target is known to hold zeros already.
/// </summary>
internal sealed class CycleWriter(SpoolWriter spool, RecordCodec codec, LineId line)
{
    /// <summary>
    /// Bytes of one data record before compression. Large enough that header, index entry and compression context cost
    /// little a byte; small enough that a guest's 4 KiB read of a view, which decodes a whole record, stays cheap.
    /// </summary>
    public const int RecordBytes = 256 * 1024;

    private readonly byte[] _record = new byte[RecordLimits.MaxRecordBytes];
    private DiskId _zeroDisk;
    private ByteRange _zeros;

    public long DataBytes { get; private set; }

    /// <summary>A definition larger than the format holds is refused by name; none comes near it.</summary>
    public async ValueTask DefinitionAsync(string xml, CancellationToken cancellationToken)
    {
        byte[] body = Encoding.UTF8.GetBytes(xml);
        if (body.Length is 0 or > RecordLimits.MaxDataBytes)
        {
            throw new UnderstudyException(
                FaultClass.NeedsOperator, $"the VM's definition has {body.Length} bytes, the most is {RecordLimits.MaxDataBytes}");
        }

        await FlushZerosAsync(cancellationToken);
        await AppendAsync(codec.EncodeDefinition(line, spool.NextSequence, body, _record), cancellationToken);
    }

    public async ValueTask GeometryAsync(IReadOnlyList<SourceDisk> disks, CancellationToken cancellationToken)
    {
        List<DiskGeometry> table = [];
        foreach (SourceDisk disk in disks)
        {
            table.Add(new DiskGeometry(disk.Disk, disk.TargetDevice, disk.SizeBytes, DiskFormat.Qcow2, disk.Joining));
        }

        await FlushZerosAsync(cancellationToken);
        await AppendAsync(codec.EncodeGeometry(line, spool.NextSequence, new GeometryBody(table), _record), cancellationToken);
    }

    /// <summary>Content of a range of at most <see cref="RecordBytes"/> that begins at a block.</summary>
    /// <param name="skipZeros">The target reads as zeros there already.</param>
    public async ValueTask ContentAsync(DiskId disk, long offsetBytes, ReadOnlyMemory<byte> content, bool skipZeros, CancellationToken cancellationToken)
    {
        int at = 0;
        while (at < content.Length)
        {
            int length = RunOfOneKind(content.Span[at..], out bool zero);
            ByteRange run = new(offsetBytes + at, length);
            if (!zero)
            {
                await FlushZerosAsync(cancellationToken);
                await AppendAsync(
                    codec.EncodeData(line, spool.NextSequence, disk, run.OffsetBytes, content.Span.Slice(at, length), _record),
                    cancellationToken);
                DataBytes += length;
            }
            else if (!skipZeros)
            {
                await ZerosAsync(disk, run, cancellationToken);
            }

            at += length;
        }
    }

    /// <summary>A range known to be zeros. Written when something else follows, so that neighbours become one record.</summary>
    public async ValueTask ZerosAsync(DiskId disk, ByteRange range, CancellationToken cancellationToken)
    {
        if (!_zeros.IsEmpty && _zeroDisk == disk && _zeros.EndBytes == range.OffsetBytes)
        {
            _zeros = ByteRange.FromTo(_zeros.OffsetBytes, range.EndBytes);
            return;
        }

        await FlushZerosAsync(cancellationToken);
        (_zeroDisk, _zeros) = (disk, range);
    }

    /// <summary>The last record of every cycle.</summary>
    public async ValueTask CheckpointAsync(CheckpointBody body, CancellationToken cancellationToken)
    {
        await FlushZerosAsync(cancellationToken);
        await AppendAsync(codec.EncodeCheckpoint(line, spool.NextSequence, body, _record), cancellationToken);
        await spool.FinishAsync(cancellationToken);
    }

    /// <summary>Length of the blocks from the start that are all zero, or all not.</summary>
    private static int RunOfOneKind(ReadOnlySpan<byte> content, out bool zero)
    {
        int length = Math.Min(BlockSize.Bytes, content.Length);
        zero = ZeroScan.IsZero(content[..length]);
        while (length < content.Length)
        {
            int next = Math.Min(BlockSize.Bytes, content.Length - length);
            if (ZeroScan.IsZero(content.Slice(length, next)) != zero)
            {
                break;
            }

            length += next;
        }

        return length;
    }

    private async ValueTask FlushZerosAsync(CancellationToken cancellationToken)
    {
        if (!_zeros.IsEmpty)
        {
            int bytes = RecordCodec.EncodeZero(line, spool.NextSequence, _zeroDisk, _zeros, _record);
            _zeros = default;
            await AppendAsync(bytes, cancellationToken);
        }
    }

    private ValueTask AppendAsync(int bytes, CancellationToken cancellationToken) =>
        spool.AppendAsync(_record.AsMemory(0, bytes), cancellationToken);
}
