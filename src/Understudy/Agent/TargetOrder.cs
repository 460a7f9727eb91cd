using System.Text.Json;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>
/// What the vault ordered last for a failover of one replica; <c>order.json</c> beside the host's records of it. The
/// vault says it again with each command; this copy is for the night without a vault (FO-8).
/// </summary>
internal sealed record TargetOrder(IReadOnlyList<NicPlan> Nics, int? Cpus, long? MemoryBytes, int BranchDays, TimeSpan? GuardStartsAfter = null)
{
    private const string FileName = "order.json";
    private const int MaxBytes = 1 << 20;

    public RecoverySettings Settings => new(Nics, Cpus, MemoryBytes, BranchDays, GuardStartsAfter);

    public static TargetOrder Of(RecoverySettings settings) => new(settings.Nics, settings.Cpus, settings.MemoryBytes, settings.BranchDays, settings.GuardStartsAfter);

    /// <summary>Null when the vault has not said.</summary>
    public static async ValueTask<TargetOrder?> TryReadAsync(string replicaFolder, CancellationToken cancellationToken)
    {
        string folder = ReplicaFolders.StateOf(replicaFolder);
        if (!Directory.Exists(folder) || await PrivateFile.TryReadAsync(new FolderStore(folder), FileName, MaxBytes, cancellationToken) is not { } content)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(content, AgentJson.Default.TargetOrder);
        }
        catch (JsonException e)
        {
            throw new Blocks.StorageException(
                Blocks.FaultKind.Corrupt, Path.Combine(folder, FileName), e.Message, "Delete it; name networks by hand (--nic) until the vault is back.", e);
        }
    }

    public ValueTask WriteAsync(string replicaFolder, CancellationToken cancellationToken) => PrivateFile.ReplaceAsync(
        new FolderStore(ReplicaFolders.StateOf(replicaFolder)), FileName, JsonSerializer.SerializeToUtf8Bytes(this, AgentJson.Default.TargetOrder), cancellationToken);

    public static void Delete(string replicaFolder) => File.Delete(Path.Combine(ReplicaFolders.StateOf(replicaFolder), FileName));
}
