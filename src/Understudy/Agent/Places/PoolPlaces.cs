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

    /// <summary>Where a replica that is to be in this pool will be. Nothing is made yet.</summary>
    /// <exception cref="ErrorException">This host has no such pool, or it is no folder, not active, or not the one that other
    /// replicas are in.</exception>
    public async ValueTask<ReplicaPlace> ChooseAsync(string pool, ReplicaCreateRequest request, CancellationToken cancellationToken)
    {
        IReadOnlyList<PoolFacts> pools = (await hypervisor.GetHostAsync(cancellationToken)).Pools ?? [];
        PoolFacts facts = pools.FirstOrDefault(known => known.Name == pool) ?? throw new ErrorException(Errors.UnknownPool("This host", pool));
        HostPool found = Facts.Of(facts, space: null);
        if (found is not { IsFolder: true, Active: true, Path: { } path })
        {
            throw new ErrorException(Errors.PoolUnusable("this host", pool, found.Active ? "it is no folder here" : "it is not active"));
        }

        return new ReplicaPlace(pool, path, await MarkOfAsync(pool, path), request.Vm.Value, request.Replica.Value, request.Source.Value, request.VmName);
    }

    /// <summary>The pool is ours to use from here on: its mark stands, and the replica's record says where it is.</summary>
    public async ValueTask TakeAsync(ReplicaPlace place, string folder, CancellationToken cancellationToken)
    {
        await PoolMark.EnsureAsync(place.Path, place.Mark, cancellationToken);
        await OpenAsync(place);
        await place.WriteAsync(folder, cancellationToken);
    }

    /// <summary>Its mark, or a new one where nothing of ours is.</summary>
    private async Task<Guid> MarkOfAsync(string pool, string path)
    {
        Guid? mark;
        try
        {
            mark = await PoolMark.ReadAsync(path);
            if (mark is null && !Directory.Exists(path))
            {
                throw new ErrorException(Errors.PoolUnusable("this host", pool, "it is no folder here"));
            }
        }
        catch (StorageException unreadable)
        {
            throw new ErrorException(Errors.PoolUnusable("this host", pool, $"its mark cannot be read: {unreadable.Message}"), unreadable);
        }

        return Directory.EnumerateDirectories(replicasFolder).Where(folder => MayUse(folder, path)).Select(ReplicaPlace.TryRead).FirstOrDefault(other => other!.Mark != mark) is { } other
            ? throw new ErrorException(Errors.PoolUnusable("this host", pool, $"the replica of {other.VmName} is in a pool at {path}, and what is mounted there now is not that one"))
            : mark ?? ids.NewGuid();
    }

    /// <exception cref="ErrorException">The pool is not there, or another agent has it.</exception>
    public async Task OpenAsync(ReplicaPlace place)
    {
        await place.RequireThereAsync();
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

    /// <summary>Where the replica was whose pool a human gives up; null when it was in none.</summary>
    /// <exception cref="ErrorException">The pool is there.</exception>
    public static async Task<ReplicaPlace?> RequireGoneAsync(string folder)
    {
        ReplicaPlace? place = ReplicaPlace.TryRead(folder);
        return place is null || !await place.IsThereAsync()
            ? place
            : throw new ErrorException(Errors.ReplicaIsThere(place.VmName, $"Storage pool {place.Pool} is there, with the replica's mark; the replica is opened again every few seconds."));
    }

    /// <summary>The pool is gone, or another is where it was: nothing is touched there.</summary>
    public void GiveUp(ReplicaPlace place, string folder)
    {
        ReplicaPlace.Delete(folder);
        ReplicaFolders.RemoveEmpty(folder);
        if (!Directory.EnumerateDirectories(replicasFolder).Any(other => MayUse(other, place.Path)) && _held.Remove(place.Path, out ReplicasLock? held))
        {
            held.Dispose();
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
