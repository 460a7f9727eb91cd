using Understudy.Blocks;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>The numbers of a replica. The defaults suit a disk of any size: memory does not grow with it.</summary>
public sealed record ReplicaSettings
{
    public static ReplicaSettings Default { get; } = new();

    public SegmentSettings Segments { get; init; } = SegmentSettings.Default;

    /// <summary>Blocks that apply reads, logs and writes together: 8 MiB in memory, three flushes a batch.</summary>
    public int ApplyBatchBlocks { get; init; } = 128;

    /// <summary>A view resolves the disk in regions of this size: at most one entry in memory a sector, once, while resolving.</summary>
    public long RegionBytes { get; init; } = 64L * 1024 * 1024;

    /// <summary>Extents of resolved regions that a view keeps: 40 bytes each.</summary>
    public int ViewExtents { get; init; } = 50_000;

    /// <summary>Decoded content that a view keeps, so that small sequential reads decode each record once.</summary>
    public int ViewCacheBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Segment files held open for reading at a time.</summary>
    public int OpenSegments { get; init; } = 64;

    internal SafetyRules Rules { get; init; } = SafetyRules.All;

    internal void Validate()
    {
        Segments.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(ApplyBatchBlocks, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ApplyBatchBlocks, 4096);
        ArgumentOutOfRangeException.ThrowIfLessThan(RegionBytes, BlockSize.Bytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(RegionBytes % BlockSize.Bytes, 0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(RegionBytes, 1L << 30);
        ArgumentOutOfRangeException.ThrowIfLessThan(ViewExtents, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(ViewCacheBytes, BlockSize.Bytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(OpenSegments, 1);
    }
}
