using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;

namespace Understudy.Journal.Tests.Rig;

/// <summary>
/// A disk in memory that writes down every change made to it, files and base images in one order, so that a test can ask
/// "what would be there if the machine had died exactly here?" (<see cref="CrashImage"/>). Complete before each call returns.
/// </summary>
internal sealed class CrashDisk : IFileStore, IBaseImages
{
    private readonly SortedDictionary<string, Inode> _names = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _folders = new(StringComparer.Ordinal) { "" };

    /// <summary>Every change since the disk was made, oldest first.</summary>
    public List<Change> Changes { get; } = [];

    /// <summary>Called before each change; throws to let it fail.</summary>
    public Action<Change>? BeforeChange { get; set; }

    /// <summary>Awaited before each read of a file; gets its name.</summary>
    public Func<string, Task>? BeforeRead { get; set; }

    public IReadOnlyDictionary<string, Inode> Names => _names;

    public IReadOnlyCollection<string> Folders => _folders;

    /// <summary>What was there before the first change, durably.</summary>
    public IReadOnlyDictionary<string, Inode> InitialNames { get; private init; } = new Dictionary<string, Inode>();

    public static CrashDisk Of(IReadOnlyDictionary<string, byte[]> files, IEnumerable<string> folders) =>
        Of(files.ToDictionary(f => f.Key, f => new Inode(f.Value)), folders);

    public static CrashDisk Of(IReadOnlyDictionary<string, Inode> files, IEnumerable<string> folders)
    {
        CrashDisk disk = new() { InitialNames = files.ToDictionary() };
        foreach ((string name, Inode inode) in files)
        {
            disk._names.Add(name, inode);
        }

        disk._folders.UnionWith(folders);
        return disk;
    }

    /// <summary>Makes a change that another disk has seen.</summary>
    public void Redo(Change change) => Do(change, () =>
    {
        switch (change)
        {
            case Change.Write write:
                write.File.Write(write.Offset, write.Data);
                break;
            case Change.SetLength length:
                length.File.SetLength(length.Length);
                break;
            case Change.Link link:
                _names[link.Name] = link.File;
                break;
            case Change.Unlink unlink:
                _names.Remove(unlink.Name);
                break;
            case Change.Rename rename when _names.Remove(rename.From, out Inode? inode):
                _names[rename.To] = inode;
                break;
        }
    });

    public ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken)
    {
        bool found = _names.TryGetValue(name, out Inode? inode);
        if (found && mode == FileOpen.New)
        {
            throw new StorageException(FaultKind.Exists, name, "it exists");
        }

        if (!found)
        {
            if (mode is FileOpen.Read or FileOpen.Existing || !_folders.Contains(FolderOf(name)))
            {
                throw new StorageException(FaultKind.Missing, name, "it does not exist");
            }

            inode = new Inode([]);
            Do(new Change.Link(name, inode), () => _names.Add(name, inode));
        }

        return ValueTask.FromResult<IStoreFile>(new CrashFile(this, name, inode!));
    }

    public ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken)
    {
        Do(new Change.Rename(from, to), () =>
        {
            _names.Remove(from, out Inode? inode);
            _names[to] = inode ?? throw new StorageException(FaultKind.Missing, from, "it does not exist");
        });
        return ValueTask.CompletedTask;
    }

    public ValueTask DeleteAsync(string name, CancellationToken cancellationToken)
    {
        if (_names.ContainsKey(name))
        {
            Do(new Change.Unlink(name), () => _names.Remove(name));
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<StoreEntry>>(
            [.. _names.Where(n => FolderOf(n.Key) == folder).Select(n => new StoreEntry(n.Key, n.Value.Length))]);

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken)
    {
        _folders.Add(folder); // Folders are durable at once: what matters is what is in them.
        return ValueTask.CompletedTask;
    }

    public ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken)
    {
        Do(new Change.FlushFolder(folder), () => { });
        return ValueTask.CompletedTask;
    }

    public ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken) => ValueTask.FromResult(long.MaxValue);

    /// <summary>Images are files named <c>image-N</c>, created and grown durably, as <see cref="IBaseImages"/> asks.</summary>
    public ValueTask<IBlockDevice> OpenAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken)
    {
        string name = $"image-{disk.Disk}";
        if (!_names.TryGetValue(name, out Inode? inode))
        {
            if (readOnly)
            {
                throw new StorageException(FaultKind.Missing, name, "there is no such image");
            }

            inode = new Inode(new byte[disk.SizeBytes]);
            Do(new Change.Link(name, inode), () => _names.Add(name, inode));
            Do(new Change.FlushFolder(""), () => { });
        }

        if (!readOnly && inode.Length < disk.SizeBytes)
        {
            Do(new Change.SetLength(inode, (int)disk.SizeBytes), () => inode.SetLength((int)disk.SizeBytes));
            Do(new Change.Flush(inode), () => { });
        }

        return ValueTask.FromResult<IBlockDevice>(new CrashDevice(this, name, inode, readOnly));
    }

    public async ValueTask DeleteAsync(DiskId disk, CancellationToken cancellationToken) => await DeleteAsync($"image-{disk}", cancellationToken);

    internal static string FolderOf(string name) => name[..Math.Max(0, name.LastIndexOf('/'))];

    internal void Do(Change change, Action act)
    {
        BeforeChange?.Invoke(change);
        act();
        Changes.Add(change);
    }

    /// <summary>The bytes of a file, by identity: a name can come to mean another file.</summary>
    internal sealed class Inode(byte[] initial)
    {
        private byte[] _bytes = (byte[])initial.Clone();

        /// <summary>What it began with, for replaying the changes.</summary>
        public byte[] Initial { get; } = initial;

        public int Length { get; private set; } = initial.Length;

        public Span<byte> Content => _bytes.AsSpan(0, Length);

        public void Write(int offset, ReadOnlySpan<byte> data)
        {
            SetLength(Math.Max(Length, offset + data.Length));
            data.CopyTo(_bytes.AsSpan(offset));
        }

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

    internal abstract record Change
    {
        internal sealed record Write(Inode File, int Offset, byte[] Data) : Change;

        internal sealed record SetLength(Inode File, int Length) : Change;

        internal sealed record Flush(Inode File) : Change;

        internal sealed record Link(string Name, Inode File) : Change;

        internal sealed record Unlink(string Name) : Change;

        internal sealed record Rename(string From, string To) : Change;

        internal sealed record FlushFolder(string Folder) : Change;
    }

    private sealed class CrashFile(CrashDisk disk, string name, Inode inode) : IStoreFile
    {
        private StorageException? _death;

        public string Name => name;

        public long LengthBytes => inode.Length;

        public async ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            ThrowIfDead();
            await (disk.BeforeRead?.Invoke(name) ?? Task.CompletedTask);
            int count = (int)Math.Clamp(inode.Length - offsetBytes, 0, buffer.Length);
            inode.Content.Slice((int)Math.Min(offsetBytes, inode.Length), count).CopyTo(buffer.Span);
            return count;
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            ThrowIfDead();
            disk.Do(new Change.Write(inode, (int)offsetBytes, data.ToArray()), () => inode.Write((int)offsetBytes, data.Span));
            return ValueTask.CompletedTask;
        }

        public ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken)
        {
            ThrowIfDead();
            disk.Do(new Change.SetLength(inode, (int)lengthBytes), () => inode.SetLength((int)lengthBytes));
            return ValueTask.CompletedTask;
        }

        public ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            ThrowIfDead();
            try
            {
                disk.Do(new Change.Flush(inode), () => { });
            }
            catch (StorageException e)
            {
                _death = e;
                throw;
            }

            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            _death ??= new StorageException(FaultKind.Closed, name, "closed");
            return ValueTask.CompletedTask;
        }

        private void ThrowIfDead()
        {
            if (_death is not null)
            {
                throw new StorageException(_death.Kind, name, "dead", inner: _death);
            }
        }
    }

    private sealed class CrashDevice(CrashDisk disk, string name, Inode inode, bool readOnly) : IBlockDevice
    {
        private StorageException? _death;

        public long SizeBytes { get; } = inode.Length;

        public bool IsReadOnly => readOnly;

        public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            ThrowIfDead();
            DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
            inode.Content.Slice((int)offsetBytes, buffer.Length).CopyTo(buffer.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            ThrowIfDead();
            DeviceRange.Check(SizeBytes, offsetBytes, data.Length);
            Invariant.Check(!readOnly, "not written through a reader");
            disk.Do(new Change.Write(inode, (int)offsetBytes, data.ToArray()), () => inode.Write((int)offsetBytes, data.Span));
            return ValueTask.CompletedTask;
        }

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) =>
            WriteAsync(range.OffsetBytes, new byte[range.LengthBytes], cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            ThrowIfDead();
            try
            {
                disk.Do(new Change.Flush(inode), () => { });
            }
            catch (StorageException e)
            {
                _death = e;
                throw;
            }

            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            _death ??= new StorageException(FaultKind.Closed, name, "closed");
            return ValueTask.CompletedTask;
        }

        private void ThrowIfDead()
        {
            if (_death is not null)
            {
                throw new StorageException(_death.Kind, name, "dead", inner: _death);
            }
        }
    }
}
