using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Segments;

/// <summary>How far a folder of segments is durable: everything before an offset in one segment, and all segments before it.</summary>
internal readonly record struct Watermark(ulong Count, ulong Segment, long Offset, ulong Sequence)
{
    public const int SizeBytes = 128;

    public const ushort Version = 1;

    private const int ChecksumAt = SizeBytes - 4;

    private static ReadOnlySpan<byte> Magic => "UNDRMARK"u8;

    public void Write(ReplicaId replica, Span<byte> target)
    {
        Span<byte> m = target[..SizeBytes];
        m.Clear();
        Magic.CopyTo(m);
        BinaryPrimitives.WriteUInt16LittleEndian(m[8..], Version);
        Invariant.Check(replica.Value.TryWriteBytes(m[16..], bigEndian: true, out _), "an id has 16 bytes");
        BinaryPrimitives.WriteUInt64LittleEndian(m[32..], Count);
        BinaryPrimitives.WriteUInt64LittleEndian(m[40..], Segment);
        BinaryPrimitives.WriteInt64LittleEndian(m[48..], Offset);
        BinaryPrimitives.WriteUInt64LittleEndian(m[56..], Sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(m[ChecksumAt..], Crc32C.Compute(m[..ChecksumAt]));
    }

    public static Watermark? TryRead(ReplicaId replica, ReadOnlySpan<byte> m)
    {
        if (m.Length < SizeBytes || !m.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(m[ChecksumAt..]) != Crc32C.Compute(m[..ChecksumAt])
            || BinaryPrimitives.ReadUInt16LittleEndian(m[8..]) != Version
            || new Guid(m.Slice(16, 16), bigEndian: true) != replica.Value)
        {
            return null;
        }

        return new Watermark(
            BinaryPrimitives.ReadUInt64LittleEndian(m[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(m[40..]),
            BinaryPrimitives.ReadInt64LittleEndian(m[48..]),
            BinaryPrimitives.ReadUInt64LittleEndian(m[56..]));
    }
}
