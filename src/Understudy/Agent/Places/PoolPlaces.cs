using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Ports;

namespace Understudy.Agent.Places;

/// <summary>The storage pools that replicas of this host are in. Each is held like the agent's own folder while it is in use. Called
/// by one caller at a time.</summary>
internal sealed class PoolPlaces(string replicasFolder, IVmInventory hypervisor, IIdSource ids) : IDisposable
{
    private readonly Dictionary<string, ReplicasLock> _held = [];

    /// <summary>Where a replica that is to be in this pool will be. Nothing of the replica is made yet.</summary>
    /// <exception cref="ErrorException">This host has no such pool, or it is no folder, or not active.</exception>
    public async ValueTask<ReplicaPlace> ChooseAsync(string pool, ReplicaCreateRequest request, CancellationToken cancellationToken)
    {
        IReadOnlyList<PoolFacts> pools = (await hypervisor.GetHostAsync(cancellationToken)).Pools ?? [];
        PoolFacts facts = pools.FirstOrDefault(known => known.Name == pool) ?? throw new ErrorException(Errors.UnknownPool("This host", pool));
        HostPool found = Facts.Of(facts);
        if (found is not { IsFolder: true, Active: true, Path: { } path } || !Directory.Exists(path))
        {
            throw new ErrorException(Errors.PoolUnusable("this host", pool, found.Active ? "it is no folder here" : "it is not active"));
        }

        Guid mark = await PoolMark.EnsureAsync(path, ids.NewGuid(), cancellationToken);
        return new ReplicaPlace(pool, path, mark, request.Vm.Value, request.Replica.Value, request.Source.Value, request.VmName);
    }

    /// <exception cref="ErrorException">The pool is not there, or another agent has it.</exception>
    public void Open(ReplicaPlace place)
    {
        place.RequireThere();
        if (!_held.ContainsKey(place.Path))
        {
            _held[place.Path] = ReplicasLock.TakeForAgent(PoolMark.ReplicasOf(place.Path));
        }
    }

    /// <summary>After a replica has gone: of a pool that holds no other one nothing is kept.</summary>
    public void Leave(ReplicaPlace place)
    {
        if (!Directory.EnumerateDirectories(replicasFolder).Any(folder => MayUse(folder, place.Path)))
        {
            if (_held.Remove(place.Path, out ReplicasLock? held))
            {
                held.Dispose();
            }

            PoolMark.Remove(place.Path);
        }
    }

    /// <summary>A record that cannot be read may name any pool.</summary>
    private static bool MayUse(string folder, string pool)
    {
        try
        {
            return ReplicaPlace.TryRead(folder)?.Path == pool;
        }
        catch (StorageException)
        {
            return true;
        }
    }

    public void Dispose()
    {
        foreach (ReplicasLock held in _held.Values)
        {
            held.Dispose();
        }
    }
}
