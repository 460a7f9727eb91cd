using System.Buffers;
using Understudy.Blocks;

namespace Understudy.Journal.Segments;

/// <summary>Turns the entries of a finished segment into its footer: padding, pages, fences, trailer.</summary>
internal static class SegmentIndexBuilder
{
    /// <summary>The whole footer, to be written at the end of the records. Rented; the caller returns it.</summary>
    public static byte[] Build(SegmentHeader header, ReadOnlySpan<IndexEntry> entries, long recordsEnd, out int length)
    {
        IndexEntry[] sorted = entries.ToArray();
        Array.Sort(sorted, Compare);
        int pages = CountPages(sorted);
        int padding = (int)(SegmentTrailer.AlignToPage(recordsEnd) - recordsEnd);
        int fencesAt = padding + (pages * IndexPage.SizeBytes);
        int trailerAt = fencesAt + (pages * IndexFence.SizeBytes);
        length = trailerAt + SegmentTrailer.SizeBytes;
        byte[] footer = ArrayPool<byte>.Shared.Rent(length);
        footer.AsSpan(0, padding).Clear();

        int start = 0;
        for (uint page = 0; page < pages; page++)
        {
            int count = CountInPage(sorted, start);
            ReadOnlySpan<IndexEntry> slice = sorted.AsSpan(start, count);
            ushort group = GroupOf(slice[0]);
            IndexPage.Write(page, group, slice, footer.AsSpan(padding + ((int)page * IndexPage.SizeBytes)));
            IndexFence.Of(group, slice).Write(footer.AsSpan(fencesAt + ((int)page * IndexFence.SizeBytes)));
            start += count;
        }

        SegmentTrailer trailer = new()
        {
            Replica = header.Replica,
            Number = header.Number,
            FirstSequence = header.FirstSequence,
            LastSequence = header.FirstSequence + (ulong)sorted.Length - 1,
            RecordsEnd = recordsEnd,
            PageCount = pages,
            RecordCount = sorted.Length,
            FencesChecksum = Crc32C.Compute(footer.AsSpan(fencesAt, trailerAt - fencesAt)),
        };
        trailer.Write(footer.AsSpan(trailerAt));
        return footer;
    }

    private static ushort GroupOf(in IndexEntry entry) => entry.IsExtent ? entry.Disk.Value : IndexPage.ControlGroup;

    private static int Compare(IndexEntry a, IndexEntry b)
    {
        int order = GroupOf(a).CompareTo(GroupOf(b));
        if (order == 0 && a.IsExtent)
        {
            order = a.OffsetBytes.CompareTo(b.OffsetBytes);
        }

        return order != 0 ? order : a.Sequence.CompareTo(b.Sequence);
    }

    private static int CountPages(ReadOnlySpan<IndexEntry> sorted)
    {
        int pages = 0;
        for (int start = 0; start < sorted.Length; start += CountInPage(sorted, start))
        {
            pages++;
        }

        return pages;
    }

    private static int CountInPage(ReadOnlySpan<IndexEntry> sorted, int start)
    {
        ushort group = GroupOf(sorted[start]);
        int end = start + 1;
        while (end < sorted.Length && end - start < IndexPage.MaxEntries && GroupOf(sorted[end]) == group)
        {
            end++;
        }

        return end - start;
    }
}
