using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Manifests;

/// <summary>Small files that are written once and then only read, or replaced whole.</summary>
internal static class SmallFile
{
    /// <summary>Written beside, flushed, renamed, folder flushed. Not cancelled half way.</summary>
    public static async ValueTask ReplaceAsync(IFileStore store, string name, string newName, ReadOnlyMemory<byte> content)
    {
        await WriteFreshAsync(store, newName, content);
        await store.RenameAsync(newName, name, CancellationToken.None);
        await store.FlushFolderAsync(FolderOf(name), CancellationToken.None);
    }

    /// <summary>Makes a file that a manifest will refer to: content and name are durable when this returns.</summary>
    public static async ValueTask<FileReference> CreateAsync(IFileStore store, string name, ReadOnlyMemory<byte> content)
    {
        await WriteFreshAsync(store, name, content);
        await store.FlushFolderAsync(FolderOf(name), CancellationToken.None);
        return new FileReference(name, content.Length, Crc32C.Compute(content.Span));
    }

    /// <summary>Reads a file that the manifest refers to; anything else than what it refers to throws.</summary>
    public static async ValueTask<byte[]> ReadAsync(IFileStore store, FileReference reference, CancellationToken cancellationToken)
    {
        await using IStoreFile file = await store.OpenAsync(reference.Name, FileOpen.Read, cancellationToken);
        byte[] bytes = file.LengthBytes == reference.Bytes ? new byte[reference.Bytes] : [];
        int read = await file.ReadAsync(0, bytes, cancellationToken);
        if (read != reference.Bytes || Crc32C.Compute(bytes) != reference.Crc32C)
        {
            throw new StorageException(
                FaultKind.Corrupt, reference.Name, "it is not what the manifest refers to", "Resynchronise the VM.");
        }

        return bytes;
    }

    private static string FolderOf(string name) => name[..Math.Max(0, name.LastIndexOf('/'))];

    private static async ValueTask WriteFreshAsync(IFileStore store, string name, ReadOnlyMemory<byte> content)
    {
        await store.DeleteAsync(name, CancellationToken.None);
        await using IStoreFile file = await store.OpenAsync(name, FileOpen.New, CancellationToken.None);
        await file.WriteAsync(0, content, CancellationToken.None);
        await file.FlushAsync(CancellationToken.None);
    }
}
