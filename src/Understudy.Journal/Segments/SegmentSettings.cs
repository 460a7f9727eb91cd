namespace Understudy.Journal.Segments;

/// <summary>How large segments grow before they are sealed.</summary>
public sealed record SegmentSettings
{
    public static SegmentSettings Default { get; } = new();

    /// <summary>64 MiB: small enough to be deleted soon after apply, large enough that sealing costs nothing.</summary>
    public long TargetBytes { get; init; } = 64L * 1024 * 1024;

    /// <summary>Bounds the index of the open segment in memory to 2.5 MiB.</summary>
    public int MaxRecords { get; init; } = 65_536;

    /// <summary>Records gathered for one write. Larger records are written by themselves.</summary>
    public int BatchBytes { get; init; } = 256 * 1024;

    internal void Validate()
    {
        // File offsets in the index have 32 bits; a segment ends at most one record after its target.
        ArgumentOutOfRangeException.ThrowIfGreaterThan(TargetBytes, 1L << 30);
        ArgumentOutOfRangeException.ThrowIfLessThan(TargetBytes, SegmentHeader.SizeBytes + 1L);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxRecords, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(BatchBytes, 1);
    }
}
