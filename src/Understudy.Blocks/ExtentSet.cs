using System.Collections;
using System.Runtime.InteropServices;

namespace Understudy.Blocks;

/// <summary>
/// A set of bytes kept as sorted ranges that neither overlap nor touch: dirty maps, divergence, "already copied". Adding in
/// ascending order costs O(1) a range, anywhere else O(log n) to find and O(n) to make room; union and intersection are
/// one pass. Not safe for concurrent use.
/// </summary>
public sealed class ExtentSet : IEnumerable<ByteRange>
{
    private readonly List<ByteRange> _ranges;

    public ExtentSet() => _ranges = [];

    public ExtentSet(IEnumerable<ByteRange> ranges)
        : this()
    {
        foreach (ByteRange range in ranges)
        {
            Add(range);
        }
    }

    private ExtentSet(List<ByteRange> canonical) => _ranges = canonical;

    /// <summary>How many ranges there are after coalescing.</summary>
    public int Count => _ranges.Count;

    public bool IsEmpty => _ranges.Count == 0;

    public long TotalBytes { get; private set; }

    /// <summary>The ranges in ascending order; valid until the set is changed.</summary>
    public ReadOnlySpan<ByteRange> Ranges => CollectionsMarshal.AsSpan(_ranges);

    public void Add(ByteRange range)
    {
        Check(range);
        if (range.IsEmpty)
        {
            return;
        }

        int first = FirstEndingAtOrAfter(range.OffsetBytes);
        long start = range.OffsetBytes;
        long end = range.EndBytes;
        int last = first;
        while (last < _ranges.Count && _ranges[last].OffsetBytes <= range.EndBytes)
        {
            start = Math.Min(start, _ranges[last].OffsetBytes);
            end = Math.Max(end, _ranges[last].EndBytes);
            TotalBytes -= _ranges[last].LengthBytes;
            last++;
        }

        Replace(first, last, [ByteRange.FromTo(start, end)]);
        TotalBytes += end - start;
    }

    public void Add(ExtentSet other)
    {
        foreach (ByteRange range in other.Ranges)
        {
            Add(range);
        }
    }

    public void Remove(ByteRange range)
    {
        Check(range);
        if (range.IsEmpty)
        {
            return;
        }

        int first = FirstEndingAtOrAfter(range.OffsetBytes + 1);
        int last = first;
        while (last < _ranges.Count && _ranges[last].OffsetBytes < range.EndBytes)
        {
            TotalBytes -= _ranges[last].LengthBytes;
            last++;
        }

        if (first == last)
        {
            return;
        }

        ByteRange before = ByteRange.FromTo(_ranges[first].OffsetBytes, Math.Max(_ranges[first].OffsetBytes, range.OffsetBytes));
        ByteRange after = ByteRange.FromTo(Math.Min(range.EndBytes, _ranges[last - 1].EndBytes), _ranges[last - 1].EndBytes);
        TotalBytes += before.LengthBytes + after.LengthBytes;
        Span<ByteRange> kept = [before, after];
        Replace(first, last, before.IsEmpty ? (after.IsEmpty ? [] : kept[1..]) : (after.IsEmpty ? kept[..1] : kept));
    }

    public void Clear()
    {
        _ranges.Clear();
        TotalBytes = 0;
    }

    public bool Contains(long offsetBytes) => Contains(new ByteRange(offsetBytes, 1));

    /// <summary>Whether every byte of the range is in the set; an empty range always is.</summary>
    public bool Contains(ByteRange range)
    {
        int at = FirstEndingAtOrAfter(range.EndBytes);
        return range.IsEmpty || (at < _ranges.Count && _ranges[at].Contains(range));
    }

    /// <summary>Whether any byte of the range is in the set.</summary>
    public bool Overlaps(ByteRange range)
    {
        int at = FirstEndingAtOrAfter(range.OffsetBytes + 1);
        return !range.IsEmpty && at < _ranges.Count && _ranges[at].OffsetBytes < range.EndBytes;
    }

    public ExtentSet Union(ExtentSet other)
    {
        ExtentSet union = new(new List<ByteRange>(Math.Max(Count, other.Count)));
        int mine = 0;
        int theirs = 0;
        while (mine < Count || theirs < other.Count)
        {
            bool takeMine = theirs == other.Count
                || (mine < Count && _ranges[mine].OffsetBytes <= other._ranges[theirs].OffsetBytes);
            union.Add(takeMine ? _ranges[mine++] : other._ranges[theirs++]);
        }

        return union;
    }

    public ExtentSet Intersect(ExtentSet other)
    {
        ExtentSet shared = new();
        int mine = 0;
        int theirs = 0;
        while (mine < Count && theirs < other.Count)
        {
            shared.Add(_ranges[mine].Intersect(other._ranges[theirs]));
            if (_ranges[mine].EndBytes <= other._ranges[theirs].EndBytes)
            {
                mine++;
            }
            else
            {
                theirs++;
            }
        }

        return shared;
    }

    public ExtentSet Intersect(ByteRange range) => Intersect(new ExtentSet { range });

    /// <summary>The same bytes as whole blocks of <paramref name="blockBytes"/>, the last one cut at the disk's end.</summary>
    public ExtentSet AlignedTo(int blockBytes, long sizeBytes)
    {
        ExtentSet aligned = new();
        foreach (ByteRange range in _ranges)
        {
            long start = range.OffsetBytes / blockBytes * blockBytes;
            long blocks = (range.EndBytes - start + blockBytes - 1) / blockBytes;
            aligned.Add(ByteRange.FromTo(start, Math.Min(sizeBytes, start + (blocks * blockBytes))));
        }

        return aligned;
    }

    public List<ByteRange>.Enumerator GetEnumerator() => _ranges.GetEnumerator();

    IEnumerator<ByteRange> IEnumerable<ByteRange>.GetEnumerator() => GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static void Check(ByteRange range)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(range.OffsetBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(range.LengthBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(range.EndBytes); // the sum overflowed
    }

    private int FirstEndingAtOrAfter(long offsetBytes)
    {
        if (Count > 0 && _ranges[^1].EndBytes < offsetBytes)
        {
            return Count;
        }

        int low = 0;
        int high = Count;
        while (low < high)
        {
            int middle = low + ((high - low) / 2);
            if (_ranges[middle].EndBytes < offsetBytes)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private void Replace(int first, int last, ReadOnlySpan<ByteRange> with)
    {
        int reused = Math.Min(last - first, with.Length);
        with[..reused].CopyTo(CollectionsMarshal.AsSpan(_ranges)[first..]);
        if (with.Length > reused)
        {
            _ranges.InsertRange(first + reused, with[reused..]);
        }
        else
        {
            _ranges.RemoveRange(first + reused, last - first - reused);
        }
    }
}
