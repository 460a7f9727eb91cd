using Understudy.Agent.Places;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Replication.Wire;

namespace Understudy.Agent;

/// <summary>The end of a replica (REG-6).</summary>
internal sealed partial class TargetSide
{
    /// <summary>Removes the replica; asked for one that is gone, there is nothing to do.</summary>
    public async Task<Removed> UnprotectAsync(TargetUnprotectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (FindRunning(request.Replica) is not { } running)
        {
            RequireReadable(request.Vm);
            return new Removed([], []);
        }

        await running.DisposeCallsAsync();
        await running.Loop.DisposeAsync();
        RemovedThings things;
        try
        {
            await NoteDepartureAsync(running.Host, request.SourceUntold, cancellationToken);
            things = await running.Host.UnprotectAsync(request.DeleteBranches, request.AtSource, cancellationToken);
        }
        catch
        {
            running.Loop.Start(); // It stands as before, and somebody has to look after it.
            StartCalls(running, running.Link);
            throw;
        }

        lock (_lock)
        {
            _replicas.Remove(request.Replica.Value);
        }

        await running.Host.DisposeAsync();
        RemoveFolder(ReplicaFolders.FolderOf(config, running.Host.Spec.Vm));
        return new Removed(things.Gone, things.Kept, things.VmStays);
    }

    /// <summary>
    /// A human's word that the storage pool of a replica never comes back. What stands there, if it stands anywhere, is left as it is;
    /// only this host's own note of it goes, and what the guard held for it: the VM can be unprotected, or protected here anew.
    /// </summary>
    /// <exception cref="ErrorException">The replica is there, or it stands in the agent's own folders.</exception>
    public async Task<Removed> ForgetAsync(VmId vm, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        string folder = ReplicaFolders.FolderOf(config, vm);
        if (Hosts.FirstOrDefault(host => host.Spec.Vm == vm) is { } open)
        {
            throw new ErrorException(ReplicaPlace.TryRead(folder) is { } lost && !await lost.IsThereAsync()
                ? Errors.ReplicaIsThere(open.Spec.VmName, "Its storage pool is not there any more, and the agent has had it open since before.") with
                {
                    Next = "Restart the agent (`systemctl restart understudy-agent`), which lets go of it, and say it again.",
                }
                : Errors.ReplicaIsThere(open.Spec.VmName, "It is open."));
        }

        ReplicaPlace place = await PoolPlaces.RequireGoneAsync(folder) ?? throw new ErrorException(_unopened.Find(vm)?.Error ?? Errors.UnknownReplica(vm.ToString()));
        await _lost.LetStartAsync(folder, cancellationToken);
        _pools.GiveUp(place, folder); // Last: until then it is said again. Its other files are where the pool was, and nothing is touched there.
        _unopened.Forget(folder);
        return new Removed([$"the note that the replica of {place.VmName} is in storage pool {place.Pool}"], [$"whatever of it still stands in {place.Path}"]);
    }

    /// <summary>Before anything goes, and kept when the end fails half way: it is read only where there is no such replica.</summary>
    private ValueTask NoteDepartureAsync(ReplicaHost host, bool sourceUntold, CancellationToken cancellationToken)
    {
        ReplicaSpec spec = host.Spec;
        CurrentLine owner = host.CurrentLine;
        return sourceUntold
            ? departures.PutAsync(new DepartureNotice(spec.Replica, spec.Vm, spec.Source, owner.Line, owner.MintedAt, services.Time.GetUtcNow()), cancellationToken)
            : departures.DropAsync(spec.Replica, cancellationToken);
    }

    /// <summary>After the replica itself: what is left is ours, or somebody else's and stays.</summary>
    private void RemoveFolder(string folder)
    {
        ReplicaPlace? place = ReplicaPlace.TryRead(folder);
        string data = ReplicaFolders.DataOf(folder);
        TargetOrder.Delete(folder);
        TargetLink.Delete(folder);
        ReplicaFolders.RemoveEmpty(data);
        if (Directory.Exists(data) && place is not null)
        {
            return; // It says whose that is.
        }

        ReplicaPlace.Delete(folder);
        ReplicaFolders.RemoveEmpty(folder);
        if (place is not null)
        {
            _pools.Leave(place);
        }
    }
}
