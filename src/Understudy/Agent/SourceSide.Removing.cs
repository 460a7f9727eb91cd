using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>The end of a source, and of old disks that are kept (REG-6).</summary>
internal sealed partial class SourceSide
{
    /// <summary>Removes everything of ours on this side; asked for a VM that is not protected (any more), there is nothing to do.</summary>
    public async Task<Removed> UnprotectAsync(SourceUnprotectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Find(request.Vm) is null && FindRetired(request.Vm) is null && Directory.Exists(FolderOf(request.Vm)))
        {
            await GoOnAsync(FolderOf(request.Vm), cancellationToken); // What stands there and could not be opened is not gone.
        }

        if (Find(request.Vm) is not { } running || running.Source.Spec.Replica != request.Replica)
        {
            return new Removed([], FindRetired(request.Vm) is { } old && old.Source.Ownership.Replica == request.Replica ? [Describe(old.Source)] : []);
        }

        await running.Loop.DisposeAsync();
        try
        {
            await (request.KeepGuard ? running.Source.RetireAsync(SourceWords.OwnerOf(request), cancellationToken) : running.Source.UnprotectAsync(request.Line, cancellationToken));
        }
        catch when (!running.Source.Engine.HasBegunToEnd)
        {
            running.Loop.Start(); // It stands as before, with what only memory knows: a newer line that could not be noted keeps its guest still.
            throw;
        }
        catch
        {
            // As after a restart: what is left of its files decides whether it goes on or ends.
            await running.Source.CloseAsync(CancellationToken.None);
            Forget(running);
            await TryOpenAsync(FolderOf(request.Vm), CancellationToken.None);
            throw;
        }

        Forget(running);
        string folder = FolderOf(request.Vm);
        SourceOrder.Delete(folder);
        List<string> kept = [];
        if (await RetiredSource.OpenAsync(Environment(folder, order: null, ReachOf(order: null)), cancellationToken) is { } retired)
        {
            Start(retired);
            kept.Add(Describe(retired));
        }

        ReplicaFolders.RemoveEmpty(folder);
        return new Removed([$"change tracking of {running.Source.Spec.VmName}", $"spool of {folder}"], kept);
    }

    /// <summary>Its loops have ended.</summary>
    private void Forget(RunningSource running)
    {
        lock (_lock)
        {
            _sources.Remove(running.Source.Spec.Vm.Value);
        }

        running.Source.Dispose();
    }

    /// <inheritdoc cref="Forget(RunningSource)"/>
    private void Forget(RetiredVm retired)
    {
        lock (_lock)
        {
            _retired.Remove(retired.Source.Ownership.Vm.Value);
        }
    }

    /// <summary>Deletes old disks that are kept as a branch, with the VM that has them. Asked for what is gone, there is nothing to do.</summary>
    public async Task<Removed> DeleteBranchAsync(SourceBranchDeleteRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Find(request.Vm) is { } running)
        {
            IReadOnlyList<string> paths = running.Source.Kept?.Disks ?? [];
            return new Removed(paths, await running.Source.DeleteKeptAsync(request.Branch, cancellationToken));
        }

        if (FindRetired(request.Vm) is not { } retired)
        {
            return new Removed([], []);
        }

        await retired.Loop.DisposeAsync();
        IReadOnlyList<string> disks = retired.Source.Kept.Disks;
        IReadOnlyList<string> left;
        try
        {
            left = await retired.Source.DeleteAsync(request.Branch, cancellationToken);
        }
        catch
        {
            Forget(retired);
            await TryOpenAsync(FolderOf(request.Vm), CancellationToken.None); // As above.
            throw;
        }

        Forget(retired);
        ReplicaFolders.RemoveEmpty(FolderOf(request.Vm));
        return new Removed([$"VM {retired.Source.Ownership.VmName}", .. disks], left);
    }

    private static string Describe(RetiredSource retired) => $"the old VM {retired.Ownership.VmName}, blocked, with {string.Join(", ", retired.Kept.Disks.Concat(retired.Kept.Stays))}";
}
