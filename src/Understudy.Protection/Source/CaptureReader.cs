using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <summary>
/// Reads ranges of a captured disk ahead of whoever turns them into records: a bounded number of reads under way, handed
/// out in order. Buffers are its own; a chunk is valid until the next call.
/// </summary>
internal sealed class CaptureReader : IAsyncDisposable
{
    /// <summary>Reads under way. The hypervisor's NBD server answers them in parallel; eight of them hide a round trip.</summary>
    private const int Depth = 8;

    private readonly Queue<(ByteRange Range, byte[] Buffer, Task Reading)> _ahead = new();
    private readonly Stack<byte[]> _free = new();
    private byte[]? _inUse;

    /// <summary>The ranges in order, in chunks of at most <see cref="CycleWriter.RecordBytes"/>, each read.</summary>
    public async ValueTask ReadAsync(
        CapturedDisk disk,
        IEnumerable<ByteRange> ranges,
        Func<ByteRange, ReadOnlyMemory<byte>, ValueTask> take,
        CancellationToken cancellationToken)
    {
        foreach (ByteRange range in ranges)
        {
            for (long at = range.OffsetBytes; at < range.EndBytes; at += CycleWriter.RecordBytes)
            {
                if (_ahead.Count == Depth)
                {
                    await TakeOneAsync(take);
                }

                ByteRange chunk = ByteRange.FromTo(at, Math.Min(range.EndBytes, at + CycleWriter.RecordBytes));
                byte[] buffer = _free.TryPop(out byte[]? used) ? used : new byte[CycleWriter.RecordBytes];
                Memory<byte> target = buffer.AsMemory(0, (int)chunk.LengthBytes);
                _ahead.Enqueue((chunk, buffer, disk.Content.ReadAsync(chunk.OffsetBytes, target, cancellationToken).AsTask()));
            }
        }

        while (_ahead.Count > 0)
        {
            await TakeOneAsync(take);
        }
    }

    /// <summary>Waits for the reads under way: their buffers and the capture must not go while they run.</summary>
    public async ValueTask DisposeAsync()
    {
        while (_ahead.TryDequeue(out (ByteRange, byte[], Task Reading) read))
        {
            try
            {
                await read.Reading;
            }
            catch (Exception unwanted) when (unwanted is UnderstudyException or OperationCanceledException or IOException)
            {
                // The fault that ended the reading has been thrown already, or the caller gave up.
            }
        }
    }

    private async ValueTask TakeOneAsync(Func<ByteRange, ReadOnlyMemory<byte>, ValueTask> take)
    {
        if (_inUse is { } before)
        {
            _free.Push(before);
            _inUse = null;
        }

        (ByteRange range, byte[] buffer, Task reading) = _ahead.Peek();
        try
        {
            await reading;
        }
        catch (StorageException fault)
        {
            // The disk read here is the hypervisor's job, not our spool: tried again soon, and said of the right side.
            throw new HypervisorException(HypervisorFault.Other, $"the capture cannot be read at {range}: {fault.Message}", fault.Remedy, fault);
        }

        _ahead.Dequeue();
        _inUse = buffer;
        await take(range, buffer.AsMemory(0, (int)range.LengthBytes));
    }
}
