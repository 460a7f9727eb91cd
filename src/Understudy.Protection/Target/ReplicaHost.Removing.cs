using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Protection.Durable;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Target.Seeds;

namespace Understudy.Protection.Target;

/// <summary>Ending protection at this side (REG-6).</summary>
public sealed partial class ReplicaHost
{
    private const string OurCheckpoints = "understudy-";

    /// <summary>
    /// Removes the replica and all that is ours. A VM that was failed over and committed stays as an ordinary VM with its
    /// disks; one that was not committed, and whatever stands on a point, are in the way and named. <see cref="RunAsync"/>
    /// must have ended.
    /// </summary>
    /// <param name="withBranches">Branches that are kept go too; otherwise they are in the way and named.</param>
    /// <param name="atSource">The VM is said to stay at its source: in the way is then also that it was committed here.</param>
    public async ValueTask<RemovedThings> UnprotectAsync(bool withBranches, bool atSource, CancellationToken cancellationToken)
    {
        List<string> gone;
        _context.IsLeaving = true;
        try
        {
            await _tests.DrainAsync(cancellationToken);
            await _mounts.DrainAsync(cancellationToken);
            RequireNotTaken(atSource);
            gone = await ClearTheWayAsync(withBranches, cancellationToken);
            ReplicaSpec leaving = _spec with { Removal = _failover.Current is null ? ReplicaRemoval.WithImages : ReplicaRemoval.KeepingImages };
            await RunFiles.ReplicaDocument.SaveAsync(_stores.State, RunFiles.Replica, leaving, cancellationToken);
            _spec = leaving;
        }
        catch
        {
            // The next agent goes by what the file says, and so does this one: what is begun now must not be removed then.
            _context.IsLeaving = await IsMarkedAsync();
            throw;
        }

        return await RemoveAsync(gone, isAsked: true, cancellationToken);
    }

    /// <summary>Whether the file says that it is being removed, or cannot be read.</summary>
    private async ValueTask<bool> IsMarkedAsync()
    {
        try
        {
            return await RunFiles.ReplicaDocument.LoadAsync(_stores.State, RunFiles.Replica, CancellationToken.None) is not { Removal: ReplicaRemoval.None };
        }
        catch (StorageException)
        {
            return true;
        }
    }

    private async ValueTask<List<string>> ClearTheWayAsync(bool withBranches, CancellationToken cancellationToken)
    {
        if (_tests.Current is [var test, ..])
        {
            throw new RefusedException(RefusalCode.Busy, $"{_context.Vm}: test {test.VmName} stands.", "Complete it first (understudy job complete).");
        }

        if (_mounts.Current is [var mount, ..])
        {
            throw new RefusedException(
                RefusalCode.Busy,
                $"{_context.Vm}: point {mount.Point} is given out as {string.Join(", ", mount.Disks.Select(disk => disk.Device))}{(mount.ToVmName is { } vm ? $" of VM {vm}" : "")}.",
                "Unmount or detach it first (understudy point unmount).");
        }

        RequireCommittable();
        List<string> gone = await DeleteBranchesAsync(withBranches, cancellationToken);
        await _failover.TendAsync(cancellationToken); // The last merge may have waited for just those.
        RequireCommitted();
        return gone;
    }

    /// <exception cref="RefusedException">There are branches, and nobody has agreed to their end.</exception>
    private async ValueTask<List<string>> DeleteBranchesAsync(bool agreed, CancellationToken cancellationToken)
    {
        List<string> gone = [];
        foreach (BranchStatus status in _context.Branches.Current)
        {
            if (!agreed)
            {
                string all = string.Join("; ", _context.Branches.Current.Select(kept => _context.Branches.Describe(kept.Branch.Id.Value)));
                throw new RefusedException(
                    RefusalCode.BranchesKept, $"{_context.Vm}: what ran and lost is kept: {all}.", "Delete each by name (`understudy point list` shows them; once nobody protects the VM any more, on this host: `understudy local points`, `understudy local delete --despite-vault`).");
            }

            gone.AddRange((await _context.Branches.DeleteAsync(status.Branch.Id, cancellationToken)).Gone);
        }

        return gone;
    }

    /// <summary>A removal that has begun goes on: what it was told then was so.</summary>
    private void RequireNotTaken(bool atSource)
    {
        if (atSource && _failover.Current is { Step: >= FailoverStep.EndingViews } taken && !HasLost && _spec.Removal == ReplicaRemoval.None)
        {
            throw new RefusedException(
                RefusalCode.AlreadyCommitted,
                $"{_context.Vm} was failed over to this host and committed: VM {taken.VmName} is here.",
                "End its protection with the VM staying here: `understudy vm unprotect --keep-at-target`.");
        }
    }

    private void RequireCommittable()
    {
        if (_failover.Current is { Step: < FailoverStep.EndingViews } && !HasLost)
        {
            throw NotCommitted();
        }
    }

    private void RequireCommitted()
    {
        if (_failover.Current is { Step: not FailoverStep.Committed } && !HasLost)
        {
            throw NotCommitted();
        }
    }

    /// <summary>The VM was claimed at its source when the commit had begun here. Nobody can start it here any more, so a commit that
    /// waits for that never ends; from the release of the base on what it wrote can be kept without it.</summary>
    private bool HasLost => _failover.Current is { Step: >= FailoverStep.Releasing } && _context.Token.Record.State is OwnershipState.Elsewhere;

    private RefusedException NotCommitted() => new(
        RefusalCode.NotCommitted,
        $"{_context.Vm} has been failed over to this host and is not committed{(_failover.Waiting is { } waiting ? $": {waiting}" : "")}.",
        "Commit the failover first: until then the VM's disks are here and in the journal.");

    /// <param name="isAsked">Somebody waits for what this returns; otherwise what is kept is news.</param>
    private async ValueTask<RemovedThings> RemoveAsync(List<string> gone, bool isAsked, CancellationToken cancellationToken)
    {
        gone.Insert(0, $"replica {_spec.Replica} of {_spec.VmName}");
        List<string> kept = [];
        bool vmStays = false;
        await _context.Slot.CloseAsync();
        if (await IsClaimedElsewhereAsync(cancellationToken))
        {
            await _failover.EndLostAsync(gone, kept, cancellationToken);
        }
        else if (_failover.Current is { } committed)
        {
            await RemoveTrackingAsync(committed, gone, cancellationToken);
            vmStays = true;
            kept.Add($"VM {committed.VmName} ({_spec.Vm}), an ordinary VM on {string.Join(", ", committed.Disks.Select(disk => disk.Base))}");
        }

        if (_spec.Removal == ReplicaRemoval.KeepingImages)
        {
            // Not asked of the failover's record: that may have gone with the agent that died before the end.
            await _context.Bases.ChangeAccessAsync(BaseAccess.None, cancellationToken);
            if (_failover.Current is { } stays)
            {
                IReadOnlyList<string> others = await _context.Bases.ListOthersAsync(stays.Disks.Select(disk => disk.Base).ToHashSet(), cancellationToken);
                kept.AddRange(others.Select(image => $"image {image}, no disk that this protection knows of"));
            }
        }
        else
        {
            await _context.Bases.DeleteAsync(cancellationToken);
            gone.Add($"base images in {_spec.ImageFolder}");
        }

        if (!isAsked && _spec.Removal == ReplicaRemoval.KeepingImages)
        {
            await SayKeptAsync(kept, cancellationToken); // While the records stand: said twice is better than never.
        }

        await _context.Services.Images.DeleteFolderIfEmptyAsync(_context.Places.RuntimeFolder, cancellationToken);
        await Replica.DeleteAsync(JournalEnvironment(), cancellationToken);
        await DurableDocument<GuestSeen>.DeleteAsync(_stores.State, RunFiles.Guest, cancellationToken);
        await DurableDocument<FailoverRecord>.DeleteAsync(_stores.State, RunFiles.Failover, cancellationToken);
        await DurableDocument<SeedRecord>.DeleteAsync(_stores.State, RunFiles.Seed, cancellationToken);
        foreach (string folder in RunFiles.Folders)
        {
            await DurableDocument<ReplicaSpec>.ClearAsync(_stores.State, folder, cancellationToken); // Of what was never begun.
        }

        await EndTokenAsync(cancellationToken);
        await DurableDocument<ReplicaSpec>.DeleteAsync(_stores.State, RunFiles.Replica, cancellationToken); // Last: it says that this goes on.
        return new RemovedThings(gone, kept, vmStays);
    }

    /// <summary>Whoever asked got no answer from the process that died, and gets none from the next, where there is no such replica.</summary>
    private async ValueTask SayKeptAsync(List<string> kept, CancellationToken cancellationToken)
    {
        TargetServices services = _context.Services;
        if (kept.Count == 0)
        {
            // The failover's record had gone already, and with it what each image is.
            kept.AddRange((await services.Images.ListAsync(_context.Places.ImageFolder, cancellationToken)).Select(image => $"image {image}"));
        }

        services.News?.Raise(new SourceEvent(
            SourceEventKind.KeptAtEnd,
            _spec.Vm,
            $"VM {_spec.VmName}: the end of its protection was cut short here and has gone on; kept: {string.Join("; ", kept)}",
            "What is not needed is deleted by hand.",
            services.Time.GetUtcNow()));
    }

    /// <summary>The token ends after the VM that has lost, so a removal that goes on after a restart still finds it.</summary>
    private async ValueTask<bool> IsClaimedElsewhereAsync(CancellationToken cancellationToken) =>
        _failover.Current is not null
        && await OwnershipToken.OpenAsync(_context.Services.Ownership, _stores.State, cancellationToken) is { Record.State: OwnershipState.Elsewhere };

    /// <summary>With it ends what the guard holds against the VM's start.</summary>
    private async ValueTask EndTokenAsync(CancellationToken cancellationToken)
    {
        OwnershipServices services = _context.Services.Ownership;
        if (await OwnershipToken.OpenAsync(services, _stores.State, cancellationToken) is { } token)
        {
            await token.EndAsync(cancellationToken);
        }
        else
        {
            await services.Guard.RemoveAsync(_spec.Vm, cancellationToken); // An agent died between the two.
        }
    }

    /// <summary>
    /// Checkpoints of ours with their bitmaps, and bitmaps that no checkpoint stands for: one whose QEMU was killed is not
    /// taken as a checkpoint by libvirt, and lies in the image all the same.
    /// </summary>
    private async ValueTask RemoveTrackingAsync(FailoverRecord committed, List<string> gone, CancellationToken cancellationToken)
    {
        IHypervisor hypervisor = _context.Services.Hypervisor;
        VmFacts? found = await hypervisor.FindVmAsync(_spec.Vm, cancellationToken);
        if (found is { } vm)
        {
            foreach (string checkpoint in await hypervisor.ListCheckpointsAsync(vm.Id, cancellationToken))
            {
                if (checkpoint.StartsWith(OurCheckpoints, StringComparison.Ordinal))
                {
                    await hypervisor.DeleteCheckpointAsync(vm.Id, checkpoint, cancellationToken);
                    gone.Add($"checkpoint {checkpoint}");
                }
            }
        }

        bool runs = found is not null and not { State: VmRunState.Off or VmRunState.Crashed };
        foreach (FailoverDisk disk in committed.Disks)
        {
            // The images of a running VM are its QEMU's, and nobody else may write them.
            if (!runs || !await LiveBitmap.TryRemoveAsync(hypervisor, _spec.Vm, disk.Base, committed.Bitmap, cancellationToken))
            {
                await _context.Services.Images.RemoveBitmapAsync(disk.Base, committed.Bitmap, cancellationToken);
            }
        }
    }
}
