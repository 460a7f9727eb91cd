using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Testing.Devices;

/// <summary>
/// A store in memory without faults: everything is durable at once. A deleted or replaced file stays readable through
/// handles that are open, as on Linux. Safe for concurrent use.
/// </summary>
public sealed class MemoryFileStore(long capacityBytes = long.MaxValue) : IFileStore
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, Content> _files = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _folders = new(StringComparer.Ordinal) { "" };

    /// <summary>Beyond it nothing is written; what is there stays when it is made less.</summary>
    public long CapacityBytes { get; set; } = capacityBytes;

    public ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(name);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            bool found = _files.TryGetValue(name, out Content? content);
            if (found && mode == FileOpen.New)
            {
                throw new StorageException(FaultKind.Exists, name, "it exists already");
            }

            if (!found && (mode is FileOpen.Read or FileOpen.Existing || !_folders.Contains(StoreName.FolderOf(name))))
            {
                throw Missing(name);
            }

            if (!found)
            {
                content = new Content();
                _files.Add(name, content);
            }

            return ValueTask.FromResult<IStoreFile>(new MemoryFile(this, name, content!, mode == FileOpen.Read));
        }
    }

    public ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(from);
        StoreName.CheckFile(to);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            if (!_folders.Contains(StoreName.FolderOf(to)) || !_files.Remove(from, out Content? content))
            {
                throw Missing(from);
            }

            _files[to] = content;
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask DeleteAsync(string name, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(name);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            _files.Remove(name);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        StoreName.CheckFolder(folder);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            List<StoreEntry> entries = [];
            foreach ((string name, Content content) in _files)
            {
                if (StoreName.FolderOf(name) == folder)
                {
                    entries.Add(new StoreEntry(name, content.Length));
                }
            }

            return ValueTask.FromResult<IReadOnlyList<StoreEntry>>(entries);
        }
    }

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken)
    {
        StoreName.CheckFolder(folder);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            for (string at = folder; at.Length > 0; at = StoreName.FolderOf(at))
            {
                _folders.Add(at);
            }
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken)
    {
        StoreName.CheckFolder(folder);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            return _folders.Contains(folder) ? ValueTask.CompletedTask : throw Missing(folder);
        }
    }

    public ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(CapacityBytes - UsedBytes());
        }
    }

    private static StorageException Missing(string name) => new(FaultKind.Missing, name, "it does not exist");

    private long UsedBytes()
    {
        long used = 0;
        foreach (Content content in _files.Values)
        {
            used += content.Length;
        }

        return used;
    }

    /// <summary>Bytes of one file, shared by its handles; under the store's lock.</summary>
    private sealed class Content
    {
        private byte[] _bytes = [];

        public int Length { get; private set; }

        public Span<byte> Span => _bytes.AsSpan(0, Length);

        public void SetLength(int length)
        {
            if (length > _bytes.Length)
            {
                Array.Resize(ref _bytes, Math.Max(length, _bytes.Length * 2));
            }

            if (length < Length)
            {
                _bytes.AsSpan(length, Length - length).Clear();
            }

            Length = length;
        }
    }

    private sealed class MemoryFile(MemoryFileStore store, string name, Content content, bool readOnly) : IStoreFile
    {
        private bool _closed;

        public string Name => name;

        public long LengthBytes
        {
            get
            {
                lock (store._lock)
                {
                    ThrowIfClosed();
                    return content.Length;
                }
            }
        }

        public ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
            cancellationToken.ThrowIfCancellationRequested();
            lock (store._lock)
            {
                ThrowIfClosed();
                int start = (int)Math.Min(offsetBytes, content.Length);
                int length = Math.Min(buffer.Length, content.Length - start);
                content.Span.Slice(start, length).CopyTo(buffer.Span);
                return ValueTask.FromResult(length);
            }
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
            cancellationToken.ThrowIfCancellationRequested();
            lock (store._lock)
            {
                Grow(Math.Max(content.Length, offsetBytes + data.Length));
                data.Span.CopyTo(content.Span[(int)offsetBytes..]);
            }

            return ValueTask.CompletedTask;
        }

        public ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
            cancellationToken.ThrowIfCancellationRequested();
            lock (store._lock)
            {
                Grow(lengthBytes);
            }

            return ValueTask.CompletedTask;
        }

        public ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            lock (store._lock)
            {
                ThrowIfClosed();
            }

            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            lock (store._lock)
            {
                _closed = true;
            }

            return ValueTask.CompletedTask;
        }

        private void Grow(long lengthBytes)
        {
            ThrowIfClosed();
            if (readOnly)
            {
                throw new StorageException(FaultKind.Denied, name, "it is open for reading only");
            }

            if (lengthBytes - content.Length > store.CapacityBytes - store.UsedBytes())
            {
                throw new StorageException(FaultKind.Full, name, "the store is full");
            }

            content.SetLength(checked((int)lengthBytes));
        }

        private void ThrowIfClosed()
        {
            if (_closed)
            {
                throw new StorageException(FaultKind.Closed, name, "it is closed");
            }
        }
    }
}
