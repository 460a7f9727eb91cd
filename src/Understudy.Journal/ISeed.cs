using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal;

/// <summary>
/// Old content from elsewhere that a base begins with, so that a source need only send what differs
/// (docs/decisions/seeds.md). It may be anything: the source compares every block of it. It is only ever read.
/// </summary>
public interface ISeed
{
    /// <summary>These are the disks: told before anything is read, again by each try.</summary>
    ValueTask BeginAsync(IReadOnlyList<DiskGeometry> disks);

    /// <summary>Up to where the base holds a disk's seed durably: what <see cref="ReachedAsync"/> was told last.</summary>
    long ReachedOf(DiskGeometry disk);

    /// <summary>Opens the seed of a disk; null when there is none, or nothing more of it: the rest is empty then. It may be
    /// smaller or larger than the disk. Disposed by the caller.</summary>
    ValueTask<IBlockDevice?> OpenAsync(DiskGeometry disk, CancellationToken cancellationToken);

    /// <summary>The base holds it durably up to there. To be remembered durably.</summary>
    /// <param name="damagedBytes">What of it, since the last time, could not be read and was left empty.</param>
    ValueTask ReachedAsync(DiskGeometry disk, long bytes, long damagedBytes);
}

/// <summary>The seed, not the base, cannot be read. Nothing is lost: it goes on from where it was, or without it.</summary>
public sealed class SeedUnreadableException(DiskGeometry disk, long offsetBytes, StorageException why)
    : UnderstudyException(FaultClass.NeedsOperator, $"the seed of disk {disk.Target} cannot be read at {offsetBytes}: {why.Message}", why.Remedy, why)
{
    public DiskId Disk { get; } = disk.Disk;

    public string TargetDevice { get; } = disk.Target;

    public long OffsetBytes { get; } = offsetBytes;
}

/// <summary>What became of a wish to begin with a seed.</summary>
public abstract record SeedOutcome
{
    private SeedOutcome()
    {
    }

    /// <summary>The source has not told the disks yet.</summary>
    public sealed record NoDisksYet : SeedOutcome;

    /// <summary>The base holds it, or something newer on top.</summary>
    public sealed record Taken : SeedOutcome;
}
