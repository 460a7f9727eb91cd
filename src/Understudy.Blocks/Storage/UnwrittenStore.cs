namespace Understudy.Blocks.Storage;

/// <summary>
/// A folder that is read and never written: changes are kept in memory and forgotten with this object, so that code which
/// recovers by writing can open what nobody may touch. Every folder counts as present. Disposing closes the files below.
/// </summary>
public sealed class UnwrittenStore(IFileStore below) : IFileStore, IAsyncDisposable
{
    private readonly AsyncGate _gate = new();
    private readonly SortedDictionary<string, Content?> _changed = new(StringComparer.Ordinal); // null: deleted

    public async ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(name);
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (await FindAsync(name, cancellationToken) is { } found)
        {
            return mode == FileOpen.New
                ? throw new StorageException(FaultKind.Exists, name, "it exists already")
                : new OpenFile(name, found, mode == FileOpen.Read);
        }

        if (mode is FileOpen.Read or FileOpen.Existing)
        {
            throw new StorageException(FaultKind.Missing, name, "there is no such file");
        }

        Content made = new(name, null);
        _changed[name] = made;
        return new OpenFile(name, made, isReadOnly: false);
    }

    public async ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(from);
        StoreName.CheckFile(to);
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        Content moved = await FindAsync(from, cancellationToken) ?? throw new StorageException(FaultKind.Missing, from, "there is no such file");
        _changed[to] = moved;
        _changed[from] = null;
    }

    public async ValueTask DeleteAsync(string name, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(name);
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _changed[name] = null;
    }

    public async ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        StoreName.CheckFolder(folder);
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        SortedDictionary<string, long> entries = new(StringComparer.Ordinal);
        foreach (StoreEntry entry in await below.ListAsync(folder, cancellationToken))
        {
            entries[entry.Name] = entry.LengthBytes;
        }

        foreach ((string name, Content? content) in _changed)
        {
            if (StoreName.FolderOf(name) != folder)
            {
                continue;
            }

            if (content is null)
            {
                entries.Remove(name);
            }
            else
            {
                entries[name] = content.LengthBytes;
            }
        }

        return [.. entries.Select(entry => new StoreEntry(entry.Key, entry.Value))];
    }

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken) => ValueTask.CompletedTask; // names hold their folders

    public ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken) => new(MemoryPages.MaxPages * (long)BlockSize.Bytes);

    public async ValueTask DisposeAsync()
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(CancellationToken.None);
        foreach (Content? content in _changed.Values)
        {
            if (content is not null)
            {
                await content.DisposeAsync();
            }
        }

        _changed.Clear();
    }

    private async ValueTask<Content?> FindAsync(string name, CancellationToken cancellationToken)
    {
        if (_changed.TryGetValue(name, out Content? changed))
        {
            return changed;
        }

        IStoreFile file;
        try
        {
            file = await below.OpenAsync(name, FileOpen.Read, cancellationToken);
        }
        catch (StorageException missing) when (missing.Kind == FaultKind.Missing)
        {
            return null;
        }

        Content content = new(name, file);
        _changed[name] = content; // One content for all who open it.
        return content;
    }

    /// <summary>A file as it would be, had it been written.</summary>
    private sealed class Content : IAsyncDisposable
    {
        private readonly IStoreFile? _below;
        private readonly MemoryPages _pages;
        private long _belowLength;

        public Content(string name, IStoreFile? below)
        {
            _below = below;
            _belowLength = below?.LengthBytes ?? 0;
            LengthBytes = _belowLength;
            _pages = new MemoryPages(ReadBelowAsync, name);
        }

        public long LengthBytes { get; private set; }

        public async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            int length = (int)Math.Clamp(LengthBytes - offset, 0, buffer.Length);
            await _pages.ReadAsync(offset, buffer[..length], cancellationToken);
            return length;
        }

        public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            await _pages.WriteAsync(offset, data, cancellationToken);
            LengthBytes = Math.Max(LengthBytes, offset + data.Length);
        }

        /// <summary>What is cut off reads as zeros should the file grow again: pages by their content, the rest by the limit.</summary>
        public async ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
        {
            if (length < LengthBytes)
            {
                await _pages.ForgetFromAsync(length, cancellationToken);
                _belowLength = Math.Min(_belowLength, length);
            }

            LengthBytes = length;
        }

        public ValueTask DisposeAsync() => _below?.DisposeAsync() ?? default;

        private async ValueTask ReadBelowAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            int there = (int)Math.Clamp(_belowLength - offset, 0, buffer.Length);
            int read = there == 0 || _below is null ? 0 : await _below.ReadAsync(offset, buffer[..there], cancellationToken);
            buffer[read..].Span.Clear();
        }
    }

    private sealed class OpenFile(string name, Content content, bool isReadOnly) : IStoreFile
    {
        private volatile bool _isClosed;

        public string Name => name;

        public long LengthBytes => content.LengthBytes;

        public ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) =>
            Open().ReadAsync(offsetBytes, buffer, cancellationToken);

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
            Writable().WriteAsync(offsetBytes, data, cancellationToken);

        public ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken) => Writable().SetLengthAsync(lengthBytes, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            Open();
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            _isClosed = true;
            return ValueTask.CompletedTask;
        }

        private Content Open() => _isClosed ? throw new StorageException(FaultKind.Closed, name, "the file is closed") : content;

        private Content Writable() => isReadOnly ? throw new StorageException(FaultKind.Denied, name, "the file is open for reading only") : Open();
    }
}
