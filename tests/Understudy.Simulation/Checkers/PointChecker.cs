using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Checkers;

/// <summary>
/// Reads recovery points the way a guest would, through views, and compares them byte for byte with what the source held
/// at that cut. Runs inside the target's process, beside everything else that happens there.
/// </summary>
internal sealed class PointChecker(IPointOwner watch, SimProcess process, SimRandom random)
{
    private const int LargestRead = 2 * BlockSize.Bytes;
    private readonly IPointOwner _watch = watch;
    private readonly SimProcess _process = process;
    private readonly SimRandom _random = random;

    public long PointsChecked { get; private set; }

    /// <summary>The count since the last call.</summary>
    public long TakePointsChecked()
    {
        long count = PointsChecked;
        PointsChecked = 0;
        return count;
    }

    /// <summary>Every point that is listed, and still listed when it has been read.</summary>
    public async Task CheckAllAsync(Replica replica)
    {
        foreach (RecoveryPoint point in replica.Points)
        {
            await CheckAsync(replica, point);
        }
    }

    public async Task CheckAsync(Replica replica, RecoveryPoint point)
    {
        try
        {
            PointContents contents = await replica.GetPointAsync(point.Id, default);
            if (FindCut(point) is not { } cut || !CheckContents(contents, cut))
            {
                return;
            }

            foreach (DiskGeometry disk in contents.Geometry.Disks)
            {
                ReplicaView view = await replica.OpenViewAsync(point.Id, disk.Disk, default);
                await using (view)
                {
                    await CompareAsync(view, cut.Disks[_watch.Vm.Targets.IndexOf(disk.Target)], point, disk.Disk);
                }
            }

            PointsChecked++;
            Simulator simulator = _process.Simulator;
            simulator.Trace.Event(simulator.NowTicks, _process.Name, "point checked", "", (long)point.Sequence);
        }
        catch (StorageException gone) when (gone.Kind == FaultKind.Missing && !replica.Points.Any(p => p.Id == point.Id))
        {
            // Apply has moved past it meanwhile: no longer listed, nothing promised.
        }
        catch (StorageException gone) when (gone.Kind == FaultKind.Missing && _watch.IsEnding)
        {
            // It was being read slowly, and the replica was removed meanwhile.
        }
        catch (StorageException wrong) when (wrong.Kind is FaultKind.Corrupt or FaultKind.Missing or FaultKind.Torn)
        {
            _watch.Violate("point content", $"{point.Id} is listed but cannot be read: {wrong.Message}");
        }
    }

    /// <summary>Reads a view that was opened earlier.</summary>
    public async Task CompareAsync(IBlockDevice view, DiskImage wanted, RecoveryPoint point, DiskId disk)
    {
        if (view.SizeBytes != wanted.SizeBytes)
        {
            _watch.Violate("point content", $"disk {disk} of {point.Id} has {view.SizeBytes} bytes, the source's {wanted.SizeBytes}");
            return;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(LargestRead); // Lost when the process is killed meanwhile: no harm.
        for (long at = 0; at < wanted.SizeBytes;)
        {
            long left = wanted.SizeBytes - at;
            int count = (int)Math.Min(left, _random.Chance(0.1) ? 512 * _random.Between(1, LargestRead / 512) : LargestRead);
            await view.ReadAsync(at, buffer.AsMemory(0, count), default);
            if (FirstDifference(buffer.AsSpan(0, count), wanted, at) is { } where)
            {
                _watch.Violate("point content", $"disk {disk} of {point.Id} differs from the source at byte {where} (block {where / BlockSize.Bytes})");
                return;
            }

            at += count;
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    public Cut? FindCut(RecoveryPoint point)
    {
        Cut? cut = _watch.Vm.FindCut(point.CutAt);
        if (cut is null)
        {
            _watch.Violate("point content", $"{point.Id} says it was cut at {point.CutAt:O}, and no cut was made then");
        }

        return cut;
    }

    private bool CheckContents(PointContents contents, Cut cut)
    {
        bool isWhole = _watch.Vm.HasOtherDisksThanFirst || _watch.LeavesDisksOut
            ? contents.Geometry.Disks.All(disk => _watch.Vm.Targets.IndexOf(disk.Target) is >= 0 and var known && known < cut.Disks.Count)
            : contents.Geometry.Disks.Count == cut.Disks.Count;
        if (!isWhole)
        {
            _watch.Violate("point content", $"{contents.Point.Id} has {contents.Geometry.Disks.Count} disks, the source {cut.Disks.Count}");
            return false;
        }

        // The definition is read after the cut and may be newer, never older; a first version may be missing from no point.
        if (contents.DefinitionXml is null || ModelVm.VersionOf(contents.DefinitionXml) is var version
            && (version < cut.DefinitionVersion || version > _watch.Vm.DefinitionVersion))
        {
            _watch.Violate("point content", $"the definition of {contents.Point.Id} is not the one at the cut: {contents.DefinitionXml}");
            return false;
        }

        return true;
    }

    private static long? FirstDifference(ReadOnlySpan<byte> found, DiskImage wanted, long offset)
    {
        while (!found.IsEmpty)
        {
            ReadOnlySpan<byte> block = wanted.Block((int)(offset / BlockSize.Bytes))[(int)(offset % BlockSize.Bytes)..];
            int count = Math.Min(block.Length, found.Length);
            int same = found[..count].CommonPrefixLength(block[..count]);
            if (same < count)
            {
                return offset + same;
            }

            found = found[count..];
            offset += count;
        }

        return null;
    }
}
