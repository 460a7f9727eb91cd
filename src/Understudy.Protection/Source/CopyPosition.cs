using Understudy.Blocks;

namespace Understudy.Protection.Source;

/// <summary>How far a whole copy has come: every disk before <see cref="DiskIndex"/> (its place in the specification), and
/// of that disk everything below <see cref="OffsetBytes"/>. Ordered; the end is one disk past the last.</summary>
public readonly record struct CopyPosition(int DiskIndex, long OffsetBytes) : IComparable<CopyPosition>
{
    public static CopyPosition Start => default;

    public static CopyPosition EndOf(IReadOnlyList<SourceDisk> disks) => new(disks.Count, 0);

    public static CopyPosition Later(CopyPosition a, CopyPosition b) => a.CompareTo(b) >= 0 ? a : b;

    public int CompareTo(CopyPosition other) =>
        DiskIndex != other.DiskIndex ? DiskIndex.CompareTo(other.DiskIndex) : OffsetBytes.CompareTo(other.OffsetBytes);

    /// <summary>The part of a disk that lies before this position.</summary>
    public ByteRange CoveredOf(int diskIndex, long sizeBytes) =>
        diskIndex < DiskIndex ? new ByteRange(0, sizeBytes)
        : diskIndex == DiskIndex ? new ByteRange(0, Math.Min(OffsetBytes, sizeBytes))
        : new ByteRange(0, 0);

    public long CoveredBytes(IReadOnlyList<SourceDisk> disks)
    {
        long covered = 0;
        for (int i = 0; i < disks.Count; i++)
        {
            covered += CoveredOf(i, disks[i].SizeBytes).LengthBytes;
        }

        return covered;
    }
}
