namespace Understudy.Journal.Views;

/// <summary>The resolved regions of a view, up to a number of extents, least recently used forgotten first.</summary>
internal sealed class RegionCache(int maxExtents)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _byUse = new();
    private int _extents;

    public RegionMap? Find(long index, int version)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(index, out LinkedListNode<Entry>? node) || node.Value.Version != version)
            {
                return null;
            }

            _byUse.Remove(node);
            _byUse.AddFirst(node);
            return node.Value.Map;
        }
    }

    public void Add(long index, int version, RegionMap map)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(index, out LinkedListNode<Entry>? old))
            {
                Remove(old);
            }

            while (_byUse.Last is { } last && _extents + Cost(map) > maxExtents)
            {
                Remove(last);
            }

            _entries.Add(index, _byUse.AddFirst(new Entry(index, version, map)));
            _extents += Cost(map);
        }
    }

    /// <summary>An empty region costs something too: there may be very many.</summary>
    private static int Cost(RegionMap map) => map.Count + 4;

    private void Remove(LinkedListNode<Entry> node)
    {
        _byUse.Remove(node);
        _entries.Remove(node.Value.Index);
        _extents -= Cost(node.Value.Map);
    }

    private sealed record Entry(long Index, int Version, RegionMap Map);
}
