using System.Buffers.Binary;
using Understudy.Blocks;

namespace Understudy.Journal.Segments;

/// <summary>
/// 4096 bytes of the index of a sealed segment: up to 102 entries of one group, with a checksum. A group is the extents of
/// one disk by offset and sequence, or (<see cref="ControlGroup"/>) all checkpoints, geometries and definitions by sequence.
/// </summary>
internal static class IndexPage
{
    public const int SizeBytes = 4096;

    public const int MaxEntries = (SizeBytes - HeaderBytes) / IndexEntry.SizeBytes;

    /// <summary>No disk has this number.</summary>
    public const ushort ControlGroup = ushort.MaxValue;

    private const int HeaderBytes = 16;

    public static void Write(uint pageNumber, ushort group, ReadOnlySpan<IndexEntry> entries, Span<byte> target)
    {
        Span<byte> page = target[..SizeBytes];
        page.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(page[4..], (ushort)entries.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(page[6..], group);
        BinaryPrimitives.WriteUInt32LittleEndian(page[8..], pageNumber);
        for (int i = 0; i < entries.Length; i++)
        {
            entries[i].Write(page[(HeaderBytes + (i * IndexEntry.SizeBytes))..]);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(page, Crc32C.Compute(page[4..]));
    }

    /// <summary>False when the page is damaged or is not the page that was asked for.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> page, uint pageNumber, IndexFence fence) =>
        page.Length == SizeBytes
        && BinaryPrimitives.ReadUInt32LittleEndian(page) == Crc32C.Compute(page[4..])
        && BinaryPrimitives.ReadUInt32LittleEndian(page[8..]) == pageNumber
        && BinaryPrimitives.ReadUInt16LittleEndian(page[6..]) == fence.Group
        && BinaryPrimitives.ReadUInt16LittleEndian(page[4..]) == fence.Count
        && fence.Count <= MaxEntries;

    public static void Read(ReadOnlySpan<byte> page, int count, Span<IndexEntry> into)
    {
        for (int i = 0; i < count; i++)
        {
            into[i] = IndexEntry.Read(page.Slice(HeaderBytes + (i * IndexEntry.SizeBytes), IndexEntry.SizeBytes));
        }
    }
}

/// <summary>What one index page holds, 32 bytes: these stay in memory while the segment is in use, the pages on disk.</summary>
internal readonly record struct IndexFence(ushort Group, ushort Count, long FirstOffset, long MaxEnd, ulong MinSequence)
{
    public const int SizeBytes = 32;

    public void Write(Span<byte> target)
    {
        target[..SizeBytes].Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(target, Group);
        BinaryPrimitives.WriteUInt16LittleEndian(target[2..], Count);
        BinaryPrimitives.WriteInt64LittleEndian(target[8..], FirstOffset);
        BinaryPrimitives.WriteInt64LittleEndian(target[16..], MaxEnd);
        BinaryPrimitives.WriteUInt64LittleEndian(target[24..], MinSequence);
    }

    public static IndexFence Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt16LittleEndian(source),
        BinaryPrimitives.ReadUInt16LittleEndian(source[2..]),
        BinaryPrimitives.ReadInt64LittleEndian(source[8..]),
        BinaryPrimitives.ReadInt64LittleEndian(source[16..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[24..]));

    public static IndexFence Of(ushort group, ReadOnlySpan<IndexEntry> entries)
    {
        long maxEnd = 0;
        ulong minSequence = ulong.MaxValue;
        foreach (ref readonly IndexEntry entry in entries)
        {
            maxEnd = Math.Max(maxEnd, entry.Range.EndBytes);
            minSequence = Math.Min(minSequence, entry.Sequence);
        }

        return new IndexFence(group, (ushort)entries.Length, entries[0].OffsetBytes, maxEnd, minSequence);
    }
}
