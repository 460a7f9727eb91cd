using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Replication.Comparing;

namespace Understudy.Protection.Source;

/// <summary>How much was compared with the target by hash, and how much of it differed and was sent.</summary>
public readonly record struct ComparedBytes(long Same, long Different)
{
    public static ComparedBytes operator +(ComparedBytes a, ComparedBytes b) => new(a.Same + b.Same, a.Different + b.Different);
}

/// <summary>
/// Drains a window block by block: what the target holds already is left out, the rest is written, zeros like everything
/// else. Where the capture has a hole nothing is read.
/// </summary>
internal sealed class ComparedSlice(ICapture capture, CycleWriter writer, SliceSums sums)
{
    private const int Block = ComparedGround.BlockBytes;

    public ComparedBytes Bytes { get; private set; }

    /// <summary>Returns the bytes that differed.</summary>
    public async ValueTask<long> DrainAsync(
        CaptureReader reader, int index, DiskId disk, ByteRange window, ExtentSet data, CancellationToken cancellationToken)
    {
        long before = Bytes.Different;
        ExtentSet holes = [window];
        foreach (ByteRange range in data)
        {
            holes.Remove(range);
        }

        ContentSum zeros = ContentSum.OfZeros(Block);
        foreach (ByteRange hole in holes)
        {
            for (long at = hole.OffsetBytes; at < hole.EndBytes; at += Block)
            {
                ByteRange block = ByteRange.FromTo(at, Math.Min(hole.EndBytes, at + Block));
                if (!Count(block.LengthBytes, isSame: sums.At(disk, at) == zeros))
                {
                    await writer.ZerosAsync(disk, block, cancellationToken);
                }
            }
        }

        await reader.ReadAsync(
            capture.Disks[index], data, (range, content) => WriteDifferentAsync(disk, range.OffsetBytes, content, cancellationToken), cancellationToken);
        return Bytes.Different - before;
    }

    /// <summary>Neighbouring blocks that differ become one record.</summary>
    private async ValueTask WriteDifferentAsync(DiskId disk, long offset, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        int from = 0;
        for (int at = 0; at < content.Length; at += Block)
        {
            int length = Math.Min(Block, content.Length - at);
            if (Count(length, isSame: sums.At(disk, offset + at) == ContentSum.Of(content.Span.Slice(at, length), Block)))
            {
                await WriteAsync(disk, offset + from, content[from..at], cancellationToken);
                from = at + length;
            }
        }

        await WriteAsync(disk, offset + from, content[from..], cancellationToken);
    }

    private ValueTask WriteAsync(DiskId disk, long offset, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        content.IsEmpty ? ValueTask.CompletedTask : writer.ContentAsync(disk, offset, content, skipZeros: false, cancellationToken);

    private bool Count(long bytes, bool isSame)
    {
        Bytes += isSame ? new ComparedBytes(bytes, 0) : new ComparedBytes(0, bytes);
        return isSame;
    }
}
