using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal.Segments;

/// <summary>Where a record lies in its segment, and what it touches: 40 bytes in the index of a sealed segment.</summary>
public readonly record struct IndexEntry(
    RecordKind Kind, DiskId Disk, long OffsetBytes, long LengthBytes, ulong Sequence, uint FileOffset, int PayloadBytes)
{
    public const int SizeBytes = 40;

    public ByteRange Range => new(OffsetBytes, LengthBytes);

    public bool IsExtent => Kind is RecordKind.Data or RecordKind.Zero;

    public int RecordBytes => RecordHeader.SizeBytes + PayloadBytes;

    public static IndexEntry Of(in RecordHeader header, long fileOffset) =>
        new(header.Kind, header.Disk, header.OffsetBytes, header.LengthBytes, header.Sequence, checked((uint)fileOffset), header.PayloadBytes);

    /// <summary>Whether a record read at this entry's place is the one the index means.</summary>
    public bool Describes(in RecordHeader header) => this == Of(header, FileOffset);

    internal void Write(Span<byte> target)
    {
        target[..SizeBytes].Clear();
        BinaryPrimitives.WriteInt64LittleEndian(target, OffsetBytes);
        BinaryPrimitives.WriteInt64LittleEndian(target[8..], LengthBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(target[16..], Sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(target[24..], FileOffset);
        BinaryPrimitives.WriteInt32LittleEndian(target[28..], PayloadBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(target[32..], Disk.Value);
        target[34] = (byte)Kind;
    }

    internal static IndexEntry Read(ReadOnlySpan<byte> source) => new(
        (RecordKind)source[34],
        new DiskId(BinaryPrimitives.ReadUInt16LittleEndian(source[32..])),
        BinaryPrimitives.ReadInt64LittleEndian(source),
        BinaryPrimitives.ReadInt64LittleEndian(source[8..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
        BinaryPrimitives.ReadUInt32LittleEndian(source[24..]),
        BinaryPrimitives.ReadInt32LittleEndian(source[28..]));
}
