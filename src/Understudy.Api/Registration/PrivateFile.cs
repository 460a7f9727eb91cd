using Understudy.Blocks.Storage;

namespace Understudy.Api.Registration;

/// <summary>Small files with secrets, replaced whole and durable when the call returns. The store makes files for their owner only.</summary>
public static class PrivateFile
{
    public static async ValueTask ReplaceAsync(IFileStore store, string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        string fresh = name + ".new";
        await store.DeleteAsync(fresh, cancellationToken);
        await using (IStoreFile file = await store.OpenAsync(fresh, FileOpen.New, cancellationToken))
        {
            await file.WriteAsync(0, content, cancellationToken);
            await file.FlushAsync(cancellationToken);
        }

        await store.RenameAsync(fresh, name, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
    }

    /// <summary>Null when there is no such file.</summary>
    public static async ValueTask<byte[]?> TryReadAsync(IFileStore store, string name, int maxBytes, CancellationToken cancellationToken)
    {
        IReadOnlyList<StoreEntry> entries = await store.ListAsync("", cancellationToken);
        if (!entries.Any(entry => entry.Name == name))
        {
            return null;
        }

        await using IStoreFile file = await store.OpenAsync(name, FileOpen.Read, cancellationToken);
        if (file.LengthBytes > maxBytes)
        {
            throw new Blocks.StorageException(Blocks.FaultKind.Corrupt, name, $"is {file.LengthBytes} bytes long, more than {maxBytes}");
        }

        byte[] content = new byte[file.LengthBytes];
        int read = await file.ReadAsync(0, content, cancellationToken);
        return content[..read];
    }
}
