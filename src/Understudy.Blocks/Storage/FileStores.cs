namespace Understudy.Blocks.Storage;

/// <summary>What is asked of any store.</summary>
public static class FileStores
{
    /// <summary>
    /// Makes the deletions in a folder durable, also those of a process that died before it could: a file that is not listed
    /// any more comes back with a power loss until its folder is flushed. Nothing to do for a folder that is missing.
    /// </summary>
    public static async ValueTask FlushDeletionsAsync(this IFileStore store, string folder, CancellationToken cancellationToken)
    {
        try
        {
            await store.FlushFolderAsync(folder, cancellationToken);
        }
        catch (StorageException fault) when (fault.Kind == FaultKind.Missing)
        {
            // Nothing was ever in it.
        }
    }
}
