using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target.Seeds;

/// <summary>How far the seed is read; durable, so that a killed agent's successor goes on (docs/formats/run-state.md).</summary>
internal sealed record SeedRecord(IReadOnlyList<SeedDisk> Disks)
{
    public static SeedRecord Nothing { get; } = new([]);

    public SeedDisk? Find(DiskId disk) => Disks.FirstOrDefault(known => known.Disk == disk);

    public SeedRecord With(SeedDisk disk) => new([.. Disks.Where(known => known.Disk != disk.Disk).Append(disk).OrderBy(known => known.Disk.Value)]);
}

/// <param name="SizeBytes">Of the disk.</param>
/// <param name="ReachedBytes">Up to here the base holds it.</param>
/// <param name="Remark">What a person should know of it, as a sentence; null for nothing.</param>
/// <param name="Ended">No more of it can be read: the source sends the rest.</param>
/// <param name="DamagedBytes">Could not be read in between, and are sent.</param>
internal sealed record SeedDisk(
    DiskId Disk, string TargetDevice, long SizeBytes, long ReachedBytes = 0, string? Remark = null, bool Ended = false, long DamagedBytes = 0)
{
    public IEnumerable<string> Remarks()
    {
        if (Remark is { } remark)
        {
            yield return remark;
        }

        if (DamagedBytes > 0)
        {
            yield return $"{DamagedBytes} bytes of the seed of disk {TargetDevice} are damaged: they are sent.";
        }
    }
}

/// <summary>What a first copy began with, or is beginning with.</summary>
/// <param name="IsTaken">The base holds it; what differs is sent.</param>
/// <param name="OfBytes">Of all disks that have a seed; 0 while the source has not told them.</param>
/// <param name="Remarks">Sentences: cut at the disk's end, could not be read to its end.</param>
public sealed record SeedStatus(bool IsTaken, long ReachedBytes, long OfBytes, IReadOnlyList<string> Remarks);
