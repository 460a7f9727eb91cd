using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Testing.Simulation.Storage;

/// <summary>One process's <see cref="IFileStore"/> over a folder of a <see cref="SimDisk"/>.</summary>
internal sealed class SimFileStore(SimDisk disk, SimProcess process, string folder) : IFileStore
{
    private readonly SimDisk _disk = disk;
    private readonly SimProcess _process = process;
    private readonly string _folder = folder.Trim('/');

    public async ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken)
    {
        string path = PathOf(name);
        await BeginAsync(mode is FileOpen.New or FileOpen.OpenOrCreate ? DiskOperation.Names : DiskOperation.Read, path, cancellationToken);
        _disk.Trace(_process, "open", path, (long)mode);
        (SimFolder parent, string last) = _disk.Resolve(path, create: false);
        if (!parent.Entries.TryGetValue(last, out object? node))
        {
            if (mode is FileOpen.Read or FileOpen.Existing)
            {
                throw new StorageException(FaultKind.Missing, path, "no such file");
            }

            node = new SimContent();
            parent.Link(last, node);
        }
        else if (mode == FileOpen.New)
        {
            throw new StorageException(FaultKind.Exists, path, "the file exists");
        }

        return node is SimContent content
            ? new SimStoreFile(name, new SimHandle(_disk, _process, path, content), mode == FileOpen.Read)
            : throw new StorageException(FaultKind.Denied, path, "is a folder");
    }

    public async ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken)
    {
        await BeginAsync(DiskOperation.Names, PathOf(from), cancellationToken);
        _disk.Trace(_process, "rename", PathOf(to));
        (SimFolder fromParent, string fromName) = _disk.Resolve(PathOf(from), create: false);
        (SimFolder toParent, string toName) = _disk.Resolve(PathOf(to), create: false);
        if (fromParent != toParent)
        {
            throw new NotSupportedException("the model renames within one folder only");
        }

        if (!fromParent.Entries.ContainsKey(fromName))
        {
            throw new StorageException(FaultKind.Missing, PathOf(from), "no such file");
        }

        fromParent.Rename(fromName, toName);
    }

    public async ValueTask DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await BeginAsync(DiskOperation.Names, PathOf(name), cancellationToken);
        _disk.Trace(_process, "delete", PathOf(name));
        if (_disk.Find(PathOf(name)) is not null)
        {
            (SimFolder parent, string last) = _disk.Resolve(PathOf(name), create: false);
            parent.Unlink(last);
        }
    }

    public async ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        await BeginAsync(DiskOperation.Read, PathOf(folder), cancellationToken);
        _disk.Trace(_process, "list", PathOf(folder));
        return _disk.Find(PathOf(folder)) is SimFolder found
            ? [.. found.Entries.Where(e => e.Value is SimContent).Select(e => Entry(folder, e.Key, (SimContent)e.Value))]
            : [];
    }

    public async ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken)
    {
        await BeginAsync(DiskOperation.Names, PathOf(folder), cancellationToken);
        _disk.Trace(_process, "create folder", PathOf(folder));
        _disk.Resolve($"{PathOf(folder)}/.", create: true);
    }

    public async ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken)
    {
        await BeginAsync(DiskOperation.Flush, PathOf(folder), cancellationToken);
        _disk.Trace(_process, "flush folder", PathOf(folder));
        if (_disk.Find(PathOf(folder)) is not SimFolder found)
        {
            throw new StorageException(FaultKind.Missing, PathOf(folder), "no such folder");
        }

        found.Flush();
    }

    public async ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken)
    {
        await BeginAsync(DiskOperation.Read, PathOf(""), cancellationToken);
        return _disk.FreeBytes();
    }

    private static StoreEntry Entry(string folder, string name, SimContent content) =>
        new(folder.Length == 0 ? name : $"{folder}/{name}", content.LengthBytes);

    private async ValueTask BeginAsync(DiskOperation operation, string path, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        (TimeSpan time, StorageException? fault) = _disk.Decide(operation, path, 0);
        await _process.TakeTimeAsync(time);
        if (fault is not null)
        {
            throw fault;
        }
    }

    private string PathOf(string name) => name.Length == 0 ? _folder : _folder.Length == 0 ? name : $"{_folder}/{name}";
}

internal sealed class SimStoreFile(string name, SimHandle handle, bool readOnly) : IStoreFile
{
    private readonly SimHandle _handle = handle;
    private readonly bool _readOnly = readOnly;

    public string Name { get; } = name;

    public long LengthBytes => _handle.LengthBytes;

    public ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) =>
        _handle.ReadAsync(offsetBytes, buffer, cancellationToken);

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        CheckWritable();
        return _handle.WriteAsync(offsetBytes, data, cancellationToken);
    }

    public ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken)
    {
        CheckWritable();
        return _handle.ChangeAsync("set length", lengthBytes - LengthBytes, content => content.SetLength(lengthBytes), cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => _handle.FlushAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        _handle.Close();
        return ValueTask.CompletedTask;
    }

    private void CheckWritable()
    {
        if (_readOnly)
        {
            throw new StorageException(FaultKind.Denied, Name, "opened for reading only");
        }
    }
}
