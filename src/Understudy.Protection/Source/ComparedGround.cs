using Understudy.Blocks;
using Understudy.Replication.Comparing;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Source;

/// <summary>
/// Which parts of the disks the next slices compare: what is not copied yet and is no virgin ground, because the target holds
/// something there already (an older state, a seed, half a slice that was given up).
/// </summary>
internal static class ComparedGround
{
    /// <summary>
    /// In blocks of the journal's own size: a smaller one cannot be sent apart. 64 KiB of a disk cost 16 bytes of the wire, so
    /// larger blocks would save nothing that counts and send more around each difference.
    /// </summary>
    public const int BlockBytes = BlockSize.Bytes;

    /// <summary>Disks of the points first, as slices go; then those that join.</summary>
    public static IEnumerable<int> SliceOrder(IReadOnlyList<SourceDisk> disks) =>
        Enumerable.Range(0, disks.Count).OrderBy(i => disks[i].Joining);

    /// <summary>What is left of it on a disk; empty where the next slice is virgin ground or the disk is whole.</summary>
    public static ByteRange Of(SourceDisk disk) =>
        ByteRange.FromTo(disk.CopiedBytes, Math.Max(disk.CopiedBytes, Math.Min(disk.VirginFromBytes, disk.SizeBytes)));

    /// <summary>The disk whose next slice is compared, when the next slice is; null otherwise.</summary>
    public static SourceDisk? Next(IReadOnlyList<SourceDisk> disks)
    {
        foreach (int i in SliceOrder(disks))
        {
            if (!disks[i].IsWhole)
            {
                return Of(disks[i]).IsEmpty ? null : disks[i];
            }
        }

        return null;
    }

    /// <summary>All questions there are to ask, in the order of the slices.</summary>
    public static IEnumerable<ComparedRange> Questions(IReadOnlyList<SourceDisk> disks)
    {
        foreach (int i in SliceOrder(disks))
        {
            ByteRange ground = Of(disks[i]);
            for (long at = ground.OffsetBytes; at < ground.EndBytes; at += ProtocolLimits.ComparedBytes)
            {
                yield return new ComparedRange(
                    disks[i].Disk, ByteRange.FromTo(at, Math.Min(ground.EndBytes, at + ProtocolLimits.ComparedBytes)), BlockBytes);
            }
        }
    }

    /// <summary>
    /// Whether sums asked of the target while <paramref name="before"/> was the state still hold: nothing is sent of what is
    /// not copied yet, so they do while every disk's copy only goes forward.
    /// </summary>
    public static bool SumsHold(IReadOnlyList<SourceDisk> before, IReadOnlyList<SourceDisk> now) =>
        now.Count == before.Count
        && now.Zip(before).All(pair => pair.First.Disk == pair.Second.Disk
            && pair.First.SizeBytes == pair.Second.SizeBytes
            && pair.First.CopiedBytes >= pair.Second.CopiedBytes);
}
