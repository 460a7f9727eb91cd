using System.Text.Json;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;

namespace Understudy.Agent;

/// <summary>
/// That a replica's source is dialled from here (REG-3); <c>link.json</c> beside the host's records of it. Where there is none
/// the source dials.
/// </summary>
/// <param name="Source">Where the source's agent listens, "name:port".</param>
internal sealed record TargetLink(string Source)
{
    private const string FileName = "link.json";
    private const int MaxBytes = 64 * 1024;

    public static async ValueTask<TargetLink?> TryReadAsync(string replicaFolder, CancellationToken cancellationToken)
    {
        string folder = ReplicaFolders.StateOf(replicaFolder);
        if (!Directory.Exists(folder) || await PrivateFile.TryReadAsync(new FolderStore(folder), FileName, MaxBytes, cancellationToken) is not { } content)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(content, AgentJson.Default.TargetLink);
        }
        catch (JsonException e)
        {
            throw new Blocks.StorageException(
                Blocks.FaultKind.Corrupt, Path.Combine(folder, FileName), e.Message, "Choose again which site listens (`understudy site link`): it is written anew.", e);
        }
    }

    /// <summary>Null removes it. Durable when it returns.</summary>
    public static async ValueTask KeepAsync(string replicaFolder, TargetLink? link, CancellationToken cancellationToken)
    {
        FolderStore store = new(ReplicaFolders.StateOf(replicaFolder));
        if (link is not null)
        {
            await PrivateFile.ReplaceAsync(store, FileName, JsonSerializer.SerializeToUtf8Bytes(link, AgentJson.Default.TargetLink), cancellationToken);
            return;
        }

        await store.DeleteAsync(FileName, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
    }

    public static void Delete(string replicaFolder) => File.Delete(Path.Combine(ReplicaFolders.StateOf(replicaFolder), FileName));
}
