using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <summary>What a drained job brought.</summary>
/// <param name="ChangedBytes">Changed content, before zero detection and compression.</param>
/// <param name="Disks">The disks as far as they are copied with it.</param>
/// <param name="Compared">What was compared with the target, and how much of it differed.</param>
internal sealed record DrainResult(long ChangedBytes, IReadOnlyList<SourceDisk> Disks, ComparedBytes Compared);

/// <summary>
/// Reads one capture into a cycle: what changed since the last checkpoint in the part already copied, all of it, and then,
/// while a disk is not whole at the target, the next slice within its budget. Disks of the points come before those that
/// are still to join them. Otherwise the order matters to no one: everything was cut at one instant.
/// </summary>
/// <param name="sums">Where the slice compares; it ends where they end.</param>
internal sealed class CycleDrain(
    ICapture capture, CycleWriter writer, SourceState state, SourcePolicy policy, SliceSums sums, TimeProvider time)
{
    /// <summary>Allocation is asked for, and the slice's budget looked at, in windows of this size.</summary>
    private const long WindowBytes = 64L * 1024 * 1024;

    /// <summary>Below this size a changed range is read without asking what is a hole in it: the question costs a round trip.</summary>
    private const long AskAllocationFrom = 1024 * 1024;

    private readonly SourceDisk[] _disks = [.. state.Disks];
    private readonly ComparedSlice _comparing = new(capture, writer, sums);

    public async ValueTask<DrainResult> RunAsync(CancellationToken cancellationToken)
    {
        await using CaptureReader reader = new();
        long changedBytes = 0;
        for (int i = 0; i < _disks.Length; i++)
        {
            if (HasChangesToAsk(state, _disks[i]))
            {
                changedBytes += await DrainChangedAsync(reader, i, cancellationToken);
            }
        }

        await DrainSliceAsync(reader, changedBytes, cancellationToken);
        return new DrainResult(changedBytes, _disks, _comparing.Bytes);
    }

    /// <summary>Whether a disk's changes since the state's checkpoint are wanted: what is not copied is read with its slice,
    /// and the checkpoint may be older than the disk.</summary>
    public static bool HasChangesToAsk(SourceState state, SourceDisk disk) => state.Checkpoint is not null && disk.CopiedBytes > 0;

    private async ValueTask<long> DrainChangedAsync(CaptureReader reader, int index, CancellationToken cancellationToken)
    {
        CapturedDisk disk = capture.Disks[index];
        ExtentSet changed = new ExtentSet(await capture.GetChangedAsync(disk, cancellationToken))
            .AlignedTo(BlockSize.Bytes, disk.SizeBytes)
            .Intersect(new ByteRange(0, _disks[index].CopiedBytes));
        foreach (ByteRange range in changed)
        {
            for (long at = range.OffsetBytes; at < range.EndBytes; at += WindowBytes)
            {
                ByteRange window = ByteRange.FromTo(at, Math.Min(range.EndBytes, at + WindowBytes));
                ExtentSet data = window.LengthBytes < AskAllocationFrom ? [window] : await DataOfAsync(disk, window, cancellationToken);
                await WriteAsync(reader, index, window, data, zerosAreThereFrom: SourceDisk.Nowhere, cancellationToken);
            }
        }

        return changed.TotalBytes;
    }

    private async ValueTask DrainSliceAsync(CaptureReader reader, long changedBytes, CancellationToken cancellationToken)
    {
        long budget = Math.Max(policy.SliceBytes - changedBytes, policy.SliceBytes / 4);
        long began = time.GetTimestamp();
        foreach (int index in ComparedGround.SliceOrder(_disks))
        {
            while (!_disks[index].IsWhole)
            {
                if (budget <= 0)
                {
                    return;
                }

                (long reached, long cost) = await DrainWindowAsync(reader, index, budget, cancellationToken);
                if (reached == _disks[index].CopiedBytes)
                {
                    return; // What the target holds here is not known yet.
                }

                budget -= cost;
                _disks[index] = _disks[index].CopiedTo(reached);
                if (time.GetElapsedTime(began) >= policy.SliceTime)
                {
                    return;
                }
            }
        }
    }

    /// <summary>Returns where the window ends, and the data that counts for the budget.</summary>
    private async ValueTask<(long ReachedBytes, long Cost)> DrainWindowAsync(
        CaptureReader reader, int index, long budget, CancellationToken cancellationToken)
    {
        CapturedDisk disk = capture.Disks[index];
        SourceDisk copy = _disks[index];
        ByteRange compared = sums.Compares ? ComparedGround.Of(copy) : default;
        long end = Math.Min(copy.CopiedBytes + WindowBytes, compared.IsEmpty ? disk.SizeBytes : sums.KnownTo(copy.Disk, compared));
        ByteRange window = ByteRange.FromTo(copy.CopiedBytes, end);
        if (window.IsEmpty)
        {
            return (end, 0);
        }

        ExtentSet data = await DataOfAsync(disk, window, cancellationToken);
        if (!compared.IsEmpty)
        {
            return (end, await _comparing.DrainAsync(reader, index, copy.Disk, window, data, cancellationToken));
        }

        window = WithinBudget(window, data, budget);
        data = data.Intersect(window);
        await WriteAsync(reader, index, window, data, copy.VirginFromBytes, cancellationToken);
        return (window.EndBytes, data.TotalBytes);
    }

    /// <summary>Cuts the window where its data reaches the budget, at a block's border; a whole window when it does not.</summary>
    private static ByteRange WithinBudget(ByteRange window, ExtentSet data, long budget)
    {
        foreach (ByteRange range in data)
        {
            if (range.LengthBytes > budget)
            {
                long blocks = (budget + BlockSize.Bytes - 1) / BlockSize.Bytes;
                return ByteRange.FromTo(window.OffsetBytes, Math.Min(window.EndBytes, range.OffsetBytes + (blocks * BlockSize.Bytes)));
            }

            budget -= range.LengthBytes;
            if (budget == 0)
            {
                return ByteRange.FromTo(window.OffsetBytes, range.EndBytes);
            }
        }

        return window;
    }

    private async ValueTask<ExtentSet> DataOfAsync(CapturedDisk disk, ByteRange window, CancellationToken cancellationToken)
    {
        ExtentSet data = new();
        foreach (BlockExtent extent in await capture.GetAllocationAsync(disk, window, cancellationToken))
        {
            if (extent.Kind == ExtentKind.Data)
            {
                data.Add(extent.Range);
            }
        }

        return data.AlignedTo(BlockSize.Bytes, disk.SizeBytes).Intersect(window);
    }

    /// <summary>Writes a window: its data by reading it, the rest as zeros.</summary>
    /// <param name="zerosAreThereFrom">From this offset on the target reads as zeros already.</param>
    private async ValueTask WriteAsync(
        CaptureReader reader, int index, ByteRange window, ExtentSet data, long zerosAreThereFrom, CancellationToken cancellationToken)
    {
        Blocks.Identity.DiskId disk = _disks[index].Disk;
        ExtentSet zeros = [window];
        foreach (ByteRange range in data)
        {
            zeros.Remove(range);
        }

        foreach (ByteRange range in zeros)
        {
            ByteRange needed = range.Intersect(new ByteRange(0, zerosAreThereFrom));
            if (!needed.IsEmpty)
            {
                await writer.ZerosAsync(disk, needed, cancellationToken);
            }
        }

        await reader.ReadAsync(
            capture.Disks[index],
            data,
            (range, content) => writer.ContentAsync(disk, range.OffsetBytes, content, range.OffsetBytes >= zerosAreThereFrom, cancellationToken),
            cancellationToken);
    }
}
