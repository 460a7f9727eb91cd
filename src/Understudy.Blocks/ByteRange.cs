namespace Understudy.Blocks;

/// <summary>A half-open range of bytes on a disk: from <see cref="OffsetBytes"/> up to, not including, <see cref="EndBytes"/>.</summary>
public readonly record struct ByteRange(long OffsetBytes, long LengthBytes)
{
    public long EndBytes => OffsetBytes + LengthBytes;

    public bool IsEmpty => LengthBytes == 0;

    public static ByteRange FromTo(long startBytes, long endBytes) => new(startBytes, endBytes - startBytes);

    public bool Contains(long offsetBytes) => offsetBytes >= OffsetBytes && offsetBytes < EndBytes;

    public bool Contains(ByteRange other) => other.OffsetBytes >= OffsetBytes && other.EndBytes <= EndBytes;

    public bool Overlaps(ByteRange other) => other.OffsetBytes < EndBytes && OffsetBytes < other.EndBytes;

    /// <summary>The part both ranges share; empty (at the later start) when they share none.</summary>
    public ByteRange Intersect(ByteRange other)
    {
        long start = Math.Max(OffsetBytes, other.OffsetBytes);
        long end = Math.Min(EndBytes, other.EndBytes);
        return end <= start ? new ByteRange(start, 0) : FromTo(start, end);
    }

    public override string ToString() => $"[{OffsetBytes}, {EndBytes})";
}
