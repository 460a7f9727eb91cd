using System.Buffers;

namespace Understudy.Journal.Views;

/// <summary>
/// Recently used verified content, up to a number of bytes. Content is copied in and out under the lock, so that a buffer
/// can be given away without anybody still reading it.
/// </summary>
internal sealed class ContentCache(int maxBytes) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Key, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _byUse = new();
    private int _bytes;

    public bool TryCopy(Key key, int offset, Span<byte> target)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out LinkedListNode<Entry>? node))
            {
                return false;
            }

            _byUse.Remove(node);
            _byUse.AddFirst(node);
            node.Value.Buffer.AsSpan(offset, target.Length).CopyTo(target);
            return true;
        }
    }

    public void Add(Key key, ReadOnlySpan<byte> content)
    {
        lock (_lock)
        {
            if (content.Length > maxBytes || _entries.ContainsKey(key))
            {
                return;
            }

            while (_bytes + content.Length > maxBytes)
            {
                RemoveLast();
            }

            byte[] buffer = ArrayPool<byte>.Shared.Rent(content.Length);
            content.CopyTo(buffer);
            _entries.Add(key, _byUse.AddFirst(new Entry(key, buffer, content.Length)));
            _bytes += content.Length;
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            while (_byUse.Count > 0)
            {
                RemoveLast();
            }
        }
    }

    private void RemoveLast()
    {
        Entry last = _byUse.Last!.Value; // Only called while there is one.
        _byUse.RemoveLast();
        _entries.Remove(last.Key);
        _bytes -= last.Length;
        ArrayPool<byte>.Shared.Return(last.Buffer);
    }

    /// <summary>A record of a segment, or a block of the base as of a version of its pre-images.</summary>
    internal readonly record struct Key(object Owner, long Position, int Version);

    private sealed record Entry(Key Key, byte[] Buffer, int Length);
}
