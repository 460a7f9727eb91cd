using System.Buffers;
using System.Runtime.CompilerServices;
using Understudy.Blocks;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Comparing;

/// <summary>
/// Makes the sums of a range of what a replica holds, piece by piece, with a bounded number of reads under way. Where the
/// device knows of zeros they are not read. A block that cannot be read because it is damaged has no sum: the source sends
/// it, and the damage is behind every point made from then on.
/// </summary>
/// <param name="device">Null when the replica has no such disk: then it reads as zeros.</param>
internal sealed class SumReader(IBlockDevice? device, ComparedRange range)
{
    /// <summary>One read and one answer; a whole number of blocks of any size.</summary>
    private const int PieceBytes = 1024 * 1024;

    /// <summary>Reads under way: four of a megabyte keep a disk busy while one is summed.</summary>
    private const int Depth = 4;

    public async IAsyncEnumerable<ControlFrame.Sums> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Queue<Piece> ahead = new();
        try
        {
            foreach ((ByteRange part, bool isHole) in Parts(await FindDataAsync(cancellationToken)))
            {
                if (ahead.Count == Depth)
                {
                    yield return await SumAsync(ahead.Peek(), cancellationToken);
                    ahead.Dequeue().Return();
                }

                ahead.Enqueue(isHole ? new Piece(part, [], Task.CompletedTask) : Read(part, cancellationToken));
            }

            while (ahead.Count > 0)
            {
                yield return await SumAsync(ahead.Peek(), cancellationToken);
                ahead.Dequeue().Return();
            }
        }
        finally
        {
            // The buffers and the device must not go while reads run.
            while (ahead.TryDequeue(out Piece piece))
            {
                await piece.Reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
                piece.Return();
            }
        }
    }

    /// <summary>What must be read, in whole blocks.</summary>
    private async ValueTask<ExtentSet> FindDataAsync(CancellationToken cancellationToken)
    {
        ByteRange there = range.Range.Intersect(new ByteRange(0, device?.SizeBytes ?? 0));
        if (there.IsEmpty)
        {
            return [];
        }

        if (device is not IExtentSource extents)
        {
            return new ExtentSet([there]).AlignedTo(range.BlockBytes, range.Range.EndBytes);
        }

        ExtentSet data = [];
        foreach (BlockExtent extent in await extents.GetExtentsAsync(there, cancellationToken))
        {
            if (extent.Kind == ExtentKind.Data)
            {
                data.Add(extent.Range);
            }
        }

        return data.AlignedTo(range.BlockBytes, range.Range.EndBytes);
    }

    /// <summary>The range in order: holes as they are, data in pieces of one read.</summary>
    private IEnumerable<(ByteRange Part, bool IsHole)> Parts(ExtentSet data)
    {
        long at = range.Range.OffsetBytes;
        foreach (ByteRange part in data)
        {
            if (part.OffsetBytes > at)
            {
                yield return (ByteRange.FromTo(at, part.OffsetBytes), true);
            }

            for (at = part.OffsetBytes; at < part.EndBytes; at = Math.Min(part.EndBytes, at + PieceBytes))
            {
                yield return (ByteRange.FromTo(at, Math.Min(part.EndBytes, at + PieceBytes)), false);
            }
        }

        if (at < range.Range.EndBytes)
        {
            yield return (ByteRange.FromTo(at, range.Range.EndBytes), true);
        }
    }

    private Piece Read(ByteRange part, CancellationToken cancellationToken)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        return new Piece(part, buffer, FillAsync(part, buffer, cancellationToken));
    }

    /// <summary>What is behind the device's end counts as zeros.</summary>
    private async Task FillAsync(ByteRange part, byte[] buffer, CancellationToken cancellationToken)
    {
        int there = (int)Math.Clamp(device!.SizeBytes - part.OffsetBytes, 0, part.LengthBytes); // Only where there is data.
        buffer.AsSpan(there, (int)part.LengthBytes - there).Clear();
        await device.ReadAsync(part.OffsetBytes, buffer.AsMemory(0, there), cancellationToken);
    }

    private async ValueTask<ControlFrame.Sums> SumAsync(Piece piece, CancellationToken cancellationToken)
    {
        int blocks = (int)((piece.Part.LengthBytes + range.BlockBytes - 1) / range.BlockBytes);
        if (piece.IsHole)
        {
            return ControlFrame.Sums.OfZeros(range.Disk, piece.Part.OffsetBytes, blocks);
        }

        byte[] sums = new byte[blocks * ContentSum.SizeBytes];
        bool isWhole = await IsReadAsync(piece.Reading);
        for (int i = 0; i < blocks; i++)
        {
            long offset = piece.Part.OffsetBytes + ((long)i * range.BlockBytes);
            ByteRange block = ByteRange.FromTo(offset, Math.Min(piece.Part.EndBytes, offset + range.BlockBytes));
            if (isWhole || await IsReadAsync(FillAsync(block, piece.Buffer, cancellationToken)))
            {
                int at = isWhole ? (int)(offset - piece.Part.OffsetBytes) : 0;
                ContentSum.Of(piece.Buffer.AsSpan(at, (int)block.LengthBytes), range.BlockBytes).Write(sums.AsSpan(i * ContentSum.SizeBytes));
            }
        }

        return new ControlFrame.Sums(range.Disk, piece.Part.OffsetBytes, blocks, sums);
    }

    /// <summary>False when what should be there is damaged; any other fault is thrown.</summary>
    private static async ValueTask<bool> IsReadAsync(Task reading)
    {
        try
        {
            await reading;
            return true;
        }
        catch (StorageException damaged) when (damaged.Kind == FaultKind.Corrupt)
        {
            return false;
        }
    }

    private readonly record struct Piece(ByteRange Part, byte[] Buffer, Task Reading)
    {
        public bool IsHole => Buffer.Length == 0;

        public void Return()
        {
            if (!IsHole)
            {
                ArrayPool<byte>.Shared.Return(Buffer);
            }
        }
    }
}
