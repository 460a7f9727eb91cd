namespace Understudy.Blocks.Storage;

/// <summary>
/// A folder for the product's own files, and the seam at which the simulation tears, loses and fails writes. Names are
/// relative, with '/' between folders, e.g. <c>journal/0000000000000001.seg</c>. The rules are POSIX's and no more: file
/// content is durable after <see cref="IStoreFile.FlushAsync"/>, a created, renamed or deleted name after
/// <see cref="FlushFolderAsync"/> of its folder. Faults throw <see cref="StorageException"/>.
/// </summary>
public interface IFileStore
{
    ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken);

    /// <summary>Atomic; replaces <paramref name="to"/> when it exists.</summary>
    ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken);

    /// <summary>No error when the file does not exist.</summary>
    ValueTask DeleteAsync(string name, CancellationToken cancellationToken);

    /// <summary>Files directly in the folder ("" is the root), in ordinal order; empty when the folder is missing.</summary>
    ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken);

    /// <summary>Creates the folder, and the folders above it, where missing.</summary>
    ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken);

    ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken);

    /// <summary>Space that can still be written, in bytes.</summary>
    ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken);
}

public enum FileOpen
{
    /// <summary>Read only; throws <see cref="FaultKind.Missing"/> when absent.</summary>
    Read,

    /// <summary>Read and write an existing file; throws <see cref="FaultKind.Missing"/> when absent.</summary>
    Existing,

    /// <summary>Read and write a new file; throws <see cref="FaultKind.Exists"/> when present.</summary>
    New,

    /// <summary>Read and write; created empty when absent.</summary>
    OpenOrCreate,
}

public readonly record struct StoreEntry(string Name, long LengthBytes);

public interface IStoreFile : IAsyncDisposable
{
    string Name { get; }

    long LengthBytes { get; }

    /// <summary>Reads up to the buffer's size; fewer bytes only at the end of the file.</summary>
    ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Writes all of it, growing the file when needed.</summary>
    ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken);

    /// <summary>Data and length durable. After it threw once, the file is dead: every later call throws.</summary>
    ValueTask FlushAsync(CancellationToken cancellationToken);
}
