using System.Collections.Concurrent;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Agent.Places;

/// <summary>Replicas that stand on this host and cannot be opened now, each with the reason. They are told of, so that nobody takes
/// them for gone; read from any thread.</summary>
internal sealed class UnopenedReplicas
{
    private readonly ConcurrentDictionary<string, (ReplicaUnavailable Replica, Guid? Source)> _byFolder = new();

    public IReadOnlyList<ReplicaUnavailable> All => [.. _byFolder.Values.Select(known => known.Replica).OrderBy(replica => replica.Vm.Value)];

    /// <returns>True when it is news.</returns>
    public bool Note(string folder, ReplicaPlace? place, Exception fault)
    {
        if (!VmId.TryParse(Path.GetFileName(folder), out VmId vm))
        {
            return true;
        }

        ErrorInfo error = fault is ErrorException known ? known.Error : Errors.ReplicaUnavailable(
            place?.VmName ?? vm.ToString(), fault.Message, (fault as Blocks.UnderstudyException)?.Remedy ?? $"See the agent's log, and mend what it names in {folder}; it is tried again every few seconds.");
        ReplicaUnavailable replica = new(vm, place is null ? null : new ReplicaId(place.Replica), error, place?.VmName);
        bool isNews = !_byFolder.TryGetValue(folder, out (ReplicaUnavailable Replica, Guid? Source) before) || before.Replica != replica;
        _byFolder[folder] = (replica, place?.Source);
        return isNews;
    }

    public void Forget(string folder) => _byFolder.TryRemove(folder, out _);

    /// <summary>Those whose folder a person has removed, by a list of the folders that could be made: a folder that cannot be looked at is there.</summary>
    /// <returns>Those that were in a storage pool.</returns>
    public IReadOnlyList<string> ForgetRemoved(string replicasFolder)
    {
        HashSet<string> standing;
        try
        {
            if (!File.Exists(Path.Combine(replicasFolder, ReplicasLock.FileName)))
            {
                return []; // It is the folder that is away, as a file system that was unmounted.
            }

            standing = [.. Directory.EnumerateDirectories(replicasFolder)];
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return [];
        }

        string[] removed = [.. _byFolder.Keys.Where(folder => !standing.Contains(folder))];
        string[] inPools = [.. removed.Where(folder => _byFolder.TryGetValue(folder, out (ReplicaUnavailable Replica, Guid? Source) known) && known.Source is not null)];
        foreach (string folder in removed)
        {
            Forget(folder);
        }

        return inPools;
    }

    public ReplicaUnavailable? Find(VmId vm) => All.FirstOrDefault(replica => replica.Vm == vm);

    public ReplicaUnavailable? Find(ReplicaId replica) => All.FirstOrDefault(known => known.Replica == replica);

    /// <summary>For the agent that sends to it; others learn nothing.</summary>
    public ReplicaUnavailable? Find(ReplicaId replica, Guid source) =>
        _byFolder.Values.FirstOrDefault(known => known.Replica.Replica == replica && known.Source == source).Replica;
}
