using Understudy.Blocks.Native;

namespace Understudy.Blocks.Storage;

/// <summary>
/// The real store: a folder of a Linux file system. Files are made for their owner only. Nothing here is durable before
/// the flush that the contract names; rename and delete are the plain system calls.
/// </summary>
public sealed class FolderStore : IFileStore
{
    private readonly string _root;

    /// <summary>The folder must exist; it is not created here, so that an unmounted pool is seen and not filled.</summary>
    public FolderStore(string root)
    {
        _root = Path.GetFullPath(root);
        if (!Directory.Exists(_root))
        {
            throw new StorageException(
                FaultKind.Missing, _root, "the folder does not exist", "Create it, or mount the file system it is on.");
        }
    }

    public ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(name);
        cancellationToken.ThrowIfCancellationRequested();
        int flags = mode switch
        {
            FileOpen.Read => PosixNative.ReadOnly,
            FileOpen.Existing => PosixNative.ReadWrite,
            FileOpen.New => PosixNative.ReadWrite | PosixNative.Create | PosixNative.Exclusive,
            FileOpen.OpenOrCreate => PosixNative.ReadWrite | PosixNative.Create,
            _ => throw new ArgumentOutOfRangeException(nameof(mode)),
        };
        string path = PathOf(name);
        return ValueTask.FromResult<IStoreFile>(new StoreFile(name, RealFile.Open(path, path, flags)));
    }

    public ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(from);
        StoreName.CheckFile(to);
        cancellationToken.ThrowIfCancellationRequested();
        if (PosixNative.Rename(PathOf(from), PathOf(to)) != 0)
        {
            throw StorageFault.FromLastError(PathOf(from), $"rename to {PathOf(to)}");
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask DeleteAsync(string name, CancellationToken cancellationToken)
    {
        StoreName.CheckFile(name);
        cancellationToken.ThrowIfCancellationRequested();
        if (PosixNative.Unlink(PathOf(name)) != 0
            && StorageFault.FromLastError(PathOf(name), "delete") is { Kind: not FaultKind.Missing } fault)
        {
            throw fault;
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        StoreName.CheckFolder(folder);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            List<StoreEntry> entries = [];
            foreach (FileInfo file in new DirectoryInfo(PathOf(folder)).EnumerateFiles())
            {
                entries.Add(new StoreEntry(folder.Length == 0 ? file.Name : $"{folder}/{file.Name}", file.Length));
            }

            entries.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
            return ValueTask.FromResult<IReadOnlyList<StoreEntry>>(entries);
        }
        catch (DirectoryNotFoundException)
        {
            return ValueTask.FromResult<IReadOnlyList<StoreEntry>>([]);
        }
        catch (Exception exception) when (StorageFault.IsFault(exception))
        {
            throw StorageFault.FromException(exception, PathOf(folder), "list");
        }
    }

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken)
    {
        StoreName.CheckFolder(folder);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            Directory.CreateDirectory(
                PathOf(folder), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            return ValueTask.CompletedTask;
        }
        catch (Exception exception) when (StorageFault.IsFault(exception))
        {
            throw StorageFault.FromException(exception, PathOf(folder), "create folder");
        }
    }

    public async ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken)
    {
        StoreName.CheckFolder(folder);
        cancellationToken.ThrowIfCancellationRequested();
        await using RealFile handle = RealFile.Open(PathOf(folder), PathOf(folder), PosixNative.ReadOnly);
        await handle.RunAsync("flush folder", static file => file.FlushAll());
    }

    public ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            return ValueTask.FromResult(new DriveInfo(_root).AvailableFreeSpace);
        }
        catch (Exception exception) when (StorageFault.IsFault(exception))
        {
            throw StorageFault.FromException(exception, _root, "free space");
        }
    }

    private string PathOf(string name) => name.Length == 0 ? _root : Path.Join(_root, name);

    private sealed class StoreFile(string name, RealFile file) : IStoreFile
    {
        public string Name => name;

        public long LengthBytes => file.LengthBytes;

        public ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) =>
            file.ReadAsync(offsetBytes, buffer, cancellationToken);

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
            file.WriteAsync(offsetBytes, data, cancellationToken);

        public ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            file.SetLength(lengthBytes);
            return ValueTask.CompletedTask;
        }

        public ValueTask FlushAsync(CancellationToken cancellationToken) => file.FlushAsync(cancellationToken);

        public ValueTask DisposeAsync() => file.DisposeAsync();
    }
}
