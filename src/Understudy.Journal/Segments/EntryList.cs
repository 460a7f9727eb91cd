namespace Understudy.Journal.Segments;

/// <summary>
/// The index of an open segment: appended to by its one writer, read by any number of views at the same time. A reader's
/// snapshot is a prefix that never changes: the count is read first, and an array that replaced another begins with the
/// same entries.
/// </summary>
internal sealed class EntryList
{
    private IndexEntry[] _entries = new IndexEntry[64];
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public ReadOnlySpan<IndexEntry> Snapshot()
    {
        int count = Volatile.Read(ref _count);
        return Volatile.Read(ref _entries).AsSpan(0, count);
    }

    public void Add(in IndexEntry entry)
    {
        if (_count == _entries.Length)
        {
            IndexEntry[] larger = new IndexEntry[_count * 2];
            _entries.CopyTo(larger, 0);
            Volatile.Write(ref _entries, larger);
        }

        _entries[_count] = entry;
        Volatile.Write(ref _count, _count + 1);
    }
}
