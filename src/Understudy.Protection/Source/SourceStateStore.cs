using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Protection.Source;

/// <summary>Reads and replaces the state file. After <see cref="SaveAsync"/> has returned the new state survives a power
/// cut; when it threw, either the old or the new one does, and the caller goes on from the old.</summary>
internal sealed class SourceStateStore(IFileStore store)
{
    internal const string Name = "source.state";
    private const string NewName = "source.state.new";

    /// <summary>Null when there is none. A process killed between rename and flush has left a state that a power cut could
    /// still take back: its name is made durable before anything is done on its word.</summary>
    public async ValueTask<SourceState?> LoadAsync(CancellationToken cancellationToken)
    {
        IStoreFile file;
        try
        {
            file = await store.OpenAsync(Name, FileOpen.Read, cancellationToken);
        }
        catch (StorageException missing) when (missing.Kind == FaultKind.Missing)
        {
            return null;
        }

        await using (file)
        {
            await store.FlushFolderAsync("", cancellationToken);
            if (file.LengthBytes > SourceStateCodec.MaxBytes)
            {
                throw Corrupt($"it has {file.LengthBytes} bytes");
            }

            byte[] bytes = new byte[file.LengthBytes];
            int read = await file.ReadAsync(0, bytes, cancellationToken);
            return SourceStateCodec.TryDecode(bytes.AsSpan(0, read), out string defect) ?? throw Corrupt(defect);
        }
    }

    public async ValueTask SaveAsync(SourceState state, CancellationToken cancellationToken)
    {
        await store.DeleteAsync(NewName, cancellationToken); // Left by a crash in the middle of this.
        await using (IStoreFile file = await store.OpenAsync(NewName, FileOpen.New, cancellationToken))
        {
            await file.WriteAsync(0, SourceStateCodec.Encode(state), cancellationToken);
            await file.FlushAsync(cancellationToken);
        }

        await store.RenameAsync(NewName, Name, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
    }

    public async ValueTask DeleteAsync(CancellationToken cancellationToken)
    {
        await store.DeleteAsync(NewName, cancellationToken);
        await store.DeleteAsync(Name, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
    }

    public ValueTask DeleteUnfinishedAsync(CancellationToken cancellationToken) => store.DeleteAsync(NewName, cancellationToken);

    private static StorageException Corrupt(string what) => new(
        FaultKind.Corrupt,
        Name,
        what,
        "Stop protecting the VM and protect it again; its recovery points at the target stay until you remove them.");
}
