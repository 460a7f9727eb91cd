using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Source;

/// <summary>A disk of the VM as it is now.</summary>
public readonly record struct DiskNow(string TargetDevice, long SizeBytes);

/// <summary>
/// Disks that came, went or grew while the VM is protected (CFG-9). Decided here, made durable, and only then captured:
/// a number is never given to two disks, whatever is killed in between.
/// </summary>
internal static class DiskSet
{
    /// <summary>The state with the disks as they are now; the same one when nothing has changed.</summary>
    /// <param name="changes">One sentence each, for people.</param>
    public static SourceState TakeUp(SourceState state, IReadOnlyList<DiskNow> now, out IReadOnlyList<string> changes)
    {
        Invariant.Check(state.Pending is null, "disks are taken up only while nothing is pending");
        List<string> said = [];
        List<SourceDisk> disks = [];
        foreach (SourceDisk disk in state.Disks)
        {
            DiskNow found = now.FirstOrDefault(other => other.TargetDevice == disk.TargetDevice);
            if (found == default)
            {
                said.Add($"disk {disk.TargetDevice} takes part no more; points that have it keep it");
            }
            else if (found.SizeBytes > disk.SizeBytes)
            {
                disks.Add(disk.GrownTo(found.SizeBytes));
                said.Add($"disk {disk.TargetDevice} has grown from {disk.SizeBytes} to {found.SizeBytes} bytes; what it had is not copied again");
            }
            else if (found.SizeBytes == disk.SizeBytes)
            {
                disks.Add(disk);
            }
            else
            {
                said.Add($"disk {disk.TargetDevice} had {disk.SizeBytes} bytes and has {found.SizeBytes} now: it is another disk, and copied as one");
            }
        }

        int next = state.NextDisk;
        long virginFrom = state.Disks.Any(disk => disk.VirginFromBytes == SourceDisk.Nowhere) ? SourceDisk.Nowhere : 0;
        foreach (DiskNow disk in now.Where(disk => disks.TrueForAll(known => known.TargetDevice != disk.TargetDevice)))
        {
            if (state.Disks.All(known => known.TargetDevice != disk.TargetDevice))
            {
                said.Add($"disk {disk.TargetDevice} has come with {disk.SizeBytes} bytes and is copied; no other disk is copied again");
            }

            disks.Add(new SourceDisk(NumberOf(next++), disk.TargetDevice, disk.SizeBytes, 0, virginFrom, Joining: state.LastPoint is not null));
        }

        changes = said;
        return said.Count == 0 ? state : state with
        {
            Disks = disks,
            NextDisk = next,
            GeometrySent = false,
            Copy = CopyAfter(state, disks, said),
        };
    }

    /// <summary>A member that is not whole any more has grown; one that was not whole may have gone, and the copy with it.</summary>
    private static CopyState? CopyAfter(SourceState state, List<SourceDisk> disks, List<string> said)
    {
        bool membersAreWhole = disks.TrueForAll(disk => disk.IsWhole || disk.Joining);
        return state.Copy is null && !membersAreWhole ? new CopyState(CopyKind.Growth, string.Join("; ", said)) : state.Copy;
    }

    private static DiskId NumberOf(int next) => next <= ushort.MaxValue
        ? new DiskId((ushort)next)
        : throw new UnderstudyException(
            FaultClass.NeedsOperator, $"this VM has had {next} disks, more than one replica can number", "Stop protecting the VM and protect it again.");
}
