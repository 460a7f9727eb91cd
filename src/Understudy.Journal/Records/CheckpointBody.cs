using System.Buffers.Binary;
using System.Text;

namespace Understudy.Journal.Records;

/// <summary>What kind of moment a checkpoint is.</summary>
public enum PointKind : byte
{
    /// <summary>As after a power cut: all disks at one instant.</summary>
    Crash = 0,

    /// <summary>The guest had frozen its file systems.</summary>
    Application = 1,

    /// <summary>The source was off: nothing that had reached its disks is missing.</summary>
    Planned = 2,

    /// <summary>Marked by a person.</summary>
    Bookmark = 3,
}

/// <summary>The body of a checkpoint record (docs/formats/points.md).</summary>
public sealed record CheckpointBody
{
    public const int MaxSizeBytes = FixedBytes + RecordLimits.MaxLabelBytes;

    private const int FixedBytes = 40;
    private const ushort Version = 1;
    private const byte HiddenFlag = 1;

    public required PointKind Kind { get; init; }

    /// <summary>The source's clock at the cut, to the microsecond. A label for people; never an identity or an order.</summary>
    public required DateTimeOffset CutAt { get; init; }

    /// <summary>A slice of a first copy or a resynchronisation: the disks are not whole here, so it is never listed.</summary>
    public bool Hidden { get; init; }

    public string Label { get; init; } = "";

    /// <summary>Writes the body; returns its size.</summary>
    public int Write(Span<byte> target)
    {
        int labelBytes = Encoding.UTF8.GetByteCount(Label);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(labelBytes, RecordLimits.MaxLabelBytes, nameof(Label));
        Span<byte> b = target[..(FixedBytes + labelBytes)];
        b.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(b, Version);
        b[2] = (byte)Kind;
        b[3] = Hidden ? HiddenFlag : (byte)0;
        BinaryPrimitives.WriteInt64LittleEndian(b[8..], (CutAt.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks) / TimeSpan.TicksPerMicrosecond);
        BinaryPrimitives.WriteUInt16LittleEndian(b[32..], (ushort)labelBytes);
        Encoding.UTF8.GetBytes(Label, b[FixedBytes..]);
        return b.Length;
    }

    /// <summary>Null when the bytes are no checkpoint body of this version. Bytes after the known fields are left to later versions.</summary>
    public static CheckpointBody? TryRead(ReadOnlySpan<byte> b)
    {
        if (b.Length < FixedBytes || BinaryPrimitives.ReadUInt16LittleEndian(b) != Version || b[2] > (byte)PointKind.Bookmark)
        {
            return null;
        }

        int labelBytes = BinaryPrimitives.ReadUInt16LittleEndian(b[32..]);
        long microseconds = BinaryPrimitives.ReadInt64LittleEndian(b[8..]);
        if (labelBytes > RecordLimits.MaxLabelBytes || b.Length < FixedBytes + labelBytes || !IsTime(microseconds))
        {
            return null;
        }

        return new CheckpointBody
        {
            Kind = (PointKind)b[2],
            Hidden = (b[3] & HiddenFlag) != 0,
            CutAt = DateTimeOffset.UnixEpoch.AddTicks(microseconds * TimeSpan.TicksPerMicrosecond),
            Label = Encoding.UTF8.GetString(b.Slice(FixedBytes, labelBytes)),
        };
    }

    private static bool IsTime(long microseconds) =>
        microseconds >= (DateTimeOffset.MinValue - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond
        && microseconds <= (DateTimeOffset.MaxValue - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
}
