using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Segments;

/// <summary>The last 128 bytes of a sealed segment: where its records end and where its index lies.</summary>
internal sealed record SegmentTrailer
{
    public const int SizeBytes = 128;

    public const ushort Version = 1;

    private const int ChecksumAt = SizeBytes - 4;

    public required ReplicaId Replica { get; init; }

    public required ulong Number { get; init; }

    public required ulong FirstSequence { get; init; }

    public required ulong LastSequence { get; init; }

    public required long RecordsEnd { get; init; }

    public required int PageCount { get; init; }

    public required int RecordCount { get; init; }

    public required uint FencesChecksum { get; init; }

    public long IndexOffset => AlignToPage(RecordsEnd);

    public long FencesOffset => IndexOffset + ((long)PageCount * IndexPage.SizeBytes);

    public int FencesBytes => PageCount * IndexFence.SizeBytes;

    public long FileBytes => FencesOffset + FencesBytes + SizeBytes;

    private static ReadOnlySpan<byte> Magic => "UNDRSEAL"u8;

    public static long AlignToPage(long offset) => (offset + IndexPage.SizeBytes - 1) / IndexPage.SizeBytes * IndexPage.SizeBytes;

    public void Write(Span<byte> target)
    {
        Span<byte> t = target[..SizeBytes];
        t.Clear();
        Magic.CopyTo(t);
        BinaryPrimitives.WriteUInt16LittleEndian(t[8..], Version);
        Invariant.Check(Replica.Value.TryWriteBytes(t[16..], bigEndian: true, out _), "an id has 16 bytes");
        BinaryPrimitives.WriteUInt64LittleEndian(t[32..], Number);
        BinaryPrimitives.WriteUInt64LittleEndian(t[40..], FirstSequence);
        BinaryPrimitives.WriteUInt64LittleEndian(t[48..], LastSequence);
        BinaryPrimitives.WriteInt64LittleEndian(t[56..], RecordsEnd);
        BinaryPrimitives.WriteInt32LittleEndian(t[64..], PageCount);
        BinaryPrimitives.WriteInt32LittleEndian(t[68..], RecordCount);
        BinaryPrimitives.WriteUInt32LittleEndian(t[72..], FencesChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(t[ChecksumAt..], Crc32C.Compute(t[..ChecksumAt]));
    }

    /// <summary>Null when these bytes are no trailer of this version that fits this segment and file length.</summary>
    public static SegmentTrailer? TryRead(ReadOnlySpan<byte> t, SegmentHeader header, long fileBytes)
    {
        if (t.Length != SizeBytes || !t.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(t[ChecksumAt..]) != Crc32C.Compute(t[..ChecksumAt])
            || BinaryPrimitives.ReadUInt16LittleEndian(t[8..]) != Version)
        {
            return null;
        }

        SegmentTrailer trailer = new()
        {
            Replica = new ReplicaId(new Guid(t.Slice(16, 16), bigEndian: true)),
            Number = BinaryPrimitives.ReadUInt64LittleEndian(t[32..]),
            FirstSequence = BinaryPrimitives.ReadUInt64LittleEndian(t[40..]),
            LastSequence = BinaryPrimitives.ReadUInt64LittleEndian(t[48..]),
            RecordsEnd = BinaryPrimitives.ReadInt64LittleEndian(t[56..]),
            PageCount = BinaryPrimitives.ReadInt32LittleEndian(t[64..]),
            RecordCount = BinaryPrimitives.ReadInt32LittleEndian(t[68..]),
            FencesChecksum = BinaryPrimitives.ReadUInt32LittleEndian(t[72..]),
        };
        bool fits = trailer.Replica == header.Replica && trailer.Number == header.Number
            && trailer.FirstSequence == header.FirstSequence
            && trailer.RecordsEnd >= SegmentHeader.SizeBytes && trailer.RecordsEnd <= fileBytes
            && trailer.PageCount >= 0 && trailer.RecordCount >= 0 && trailer.FileBytes == fileBytes
            && trailer.LastSequence == trailer.FirstSequence + (ulong)trailer.RecordCount - 1;
        return fits ? trailer : null;
    }
}
