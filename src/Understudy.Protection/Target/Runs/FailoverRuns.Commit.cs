using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// The commit, steps (a) to (f) of docs/protocols/commit.md. Each step asks the world how far it has come and is content
/// with what has happened already, so a step that was begun twice is a step that was begun once. A step that must wait
/// says for what and is asked again.
/// </summary>
internal sealed partial class FailoverRuns
{
    /// <summary>A client's last connection closes a moment after the client has gone.</summary>
    private const int MostLooksForViews = 50;

    private string? _damage;
    private Guid? _offViews;

    /// <summary>Begins the commit, or goes on with it, as far as it goes now.</summary>
    public async ValueTask<CommitOutcome> CommitAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await UndoHalfMadeAsync(cancellationToken);
        FailoverRecord failover = Current ?? throw new RefusedException(
            RefusalCode.NotFailedOver, $"{context.Vm} has not been failed over to this host.", "Fail it over first.");
        if (failover.Step < FailoverStep.Running)
        {
            throw new RefusedException(RefusalCode.NotFailedOver, $"The failover of {context.Vm} has not ended.", "Repeat the failover; it goes on where it was.");
        }

        RequireNotLeaving(failover);
        RequireAllowed(new OwnershipMessage.Renew(Token.Record.Line, failover.Point)); // Nobody has claimed the VM elsewhere since.
        _damage = null;
        if (failover.Step == FailoverStep.Running)
        {
            await SaveAsync(failover with { Step = FailoverStep.Applying }, cancellationToken);
        }

        await AdvanceAsync(cancellationToken);
        return Current is { Step: FailoverStep.Committed } committed
            ? new CommitOutcome([.. committed.Disks.Select(disk => disk.Base)], null)
            : new CommitOutcome([], Waiting);
    }

    private async ValueTask<string?> RunCommitStepAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        switch (failover.Step)
        {
            case FailoverStep.Applying:
                bool awaitsSeed = false;
                return !await TryUninterruptedAsync(async token => awaitsSeed = await ApplyAsync(failover, token), cancellationToken) ? "an order about the VM that goes first"
                    : awaitsSeed ? "the seed is still being read into the base"
                    : null;

            case FailoverStep.Dropping:
                await context.Slot.Replica.DropAfterAsync(failover.Point, cancellationToken);
                return null;

            case FailoverStep.Releasing:
                return await ReleaseBaseAsync(cancellationToken);

            case FailoverStep.Copying:
                return await MoveDisksAsync(failover, CommitDecision.Copy, cancellationToken);

            case FailoverStep.EndingViews:
                return await EndViewsAsync(failover, cancellationToken);

            case FailoverStep.Merging:
                return await MoveDisksAsync(failover, CommitDecision.Merge, cancellationToken);

            case FailoverStep.Tracking:
                await TrackAsync(failover, cancellationToken);
                return null;

            default:
                throw new UnreachableException();
        }
    }

    /// <returns>True when the base is not there yet.</returns>
    private async ValueTask<bool> ApplyAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        ApplyOutcome outcome = await context.Slot.Replica.ApplyAsync(failover.Point, cancellationToken);
        Invariant.Check(outcome is not (ApplyOutcome.Diverged or ApplyOutcome.BaseIsFinal), "the failover's own point can be applied until the base is final");
        return outcome is ApplyOutcome.AwaitsSeed;
    }

    /// <summary>(b) What was applied is on disk and reads back as it was summed; then the daemon that could write ends.</summary>
    private async ValueTask<string?> ReleaseBaseAsync(CancellationToken cancellationToken)
    {
        if (_damage is not null)
        {
            return _damage; // A person has to look; ordering the commit again reads everything again.
        }

        VerifyReport report = await context.Slot.Replica.VerifyAsync(null, cancellationToken);
        if (report.DamageCount > 0)
        {
            return _damage = $"{report.DamageCount} damaged places in the base or journal, the first: {report.Damages[0]}; the VM runs on, only reading such a place pauses it";
        }

        await context.Slot.Replica.FreezeBaseAsync(cancellationToken);
        await context.Bases.ChangeAccessAsync(BaseAccess.ReadOnly, cancellationToken);
        return null;
    }

    /// <summary>
    /// (d) The VM stands on its second overlay over the base itself and needs no views: what it had of them ends at once.
    /// The base becomes its own only when nobody else touches it: it could not be merged into while anything holds it, even
    /// for reading. What still needs it is named; the VM runs on meanwhile, and the last merge comes by itself.
    /// </summary>
    private async ValueTask<string?> EndViewsAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await EndServingAsync(failover, cancellationToken);
        await ResumeOffViewsAsync(failover, cancellationToken); // Nothing it does can meet a view from here on.

        // It is closed when the next step could not be noted and this one is begun twice.
        if (!context.Slot.IsClosed && await ReleaseOrSayWhyNotAsync(failover, cancellationToken) is { } waiting)
        {
            return waiting;
        }

        if (context.Slot.TryGet() is { } replica)
        {
            // A disk that had begun to join has an image, and was not whole at the point: it is no disk of this VM. Nobody else can
            // have made anything of it yet; later it might be taken for the owner's.
            foreach (DiskGeometry other in replica.BaseDisks.Where(disk => failover.Disks.All(own => own.Base != context.Places.BaseImage(disk))))
            {
                await context.Bases.DeleteAsync(other.Disk, cancellationToken);
            }
        }

        await context.Slot.CloseAsync();
        await context.Bases.ChangeAccessAsync(BaseAccess.None, cancellationToken);
        return null;
    }

    /// <summary>
    /// A read of a view may have failed while the disks moved, when a daemon died or was ended, and the watch of guests on views
    /// looks no more: the guest goes on with what it stands on now. Once, since from here on an I/O error is not of our making.
    /// </summary>
    private async ValueTask ResumeOffViewsAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (_offViews != failover.Id && await Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken) is VmRunState.PausedIoError)
        {
            await Hypervisor.ResumeAsync(context.Spec.Vm, cancellationToken);
            Log.GuestResumed(context.Logger, context.Vm, context.Vm);
        }

        _offViews = failover.Id;
    }

    private async ValueTask<string?> ReleaseOrSayWhyNotAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await context.RunDisks.DeleteOverlaysAsync(OverlaysOf(failover), cancellationToken);
        if (DescribePins() is { } pinned)
        {
            return $"last merge waiting for a pin: {pinned}";
        }

        if (context.Views.TryClose(failover.Id) is { } other)
        {
            return $"last merge waiting for a pin: {other}";
        }

        for (int looks = 0; await context.Slot.Replica.ReleaseBaseAsync(cancellationToken) is ReleaseOutcome.InUse used; looks++)
        {
            if (looks == MostLooksForViews)
            {
                return $"the views of this replica are still read: {string.Join(", ", used.Pins)} ({used.OpenViews} open views)";
            }

            await Task.Delay(context.Services.Settings.JobPollEvery, context.Services.Time, cancellationToken);
        }

        return null;
    }

    /// <summary>What needs the base besides the VM, by the names people know; null when nothing does.</summary>
    private string? DescribePins()
    {
        string[] pins = [.. context.Pins.List().Select(pin => context.Branches.Describe(pin.Owner) ?? pin.What)];
        return pins.Length == 0 ? null : string.Join(", ", pins);
    }

    /// <summary>(f) The bitmap in the base becomes a checkpoint that libvirt knows; then the overlays go. The step before has
    /// seen the base in the definition of the next start.</summary>
    private async ValueTask TrackAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        try
        {
            IReadOnlyList<string> known = await context.Services.Hypervisor.ListCheckpointsAsync(context.Spec.Vm, cancellationToken);
            if (!known.Contains(failover.Bitmap))
            {
                await context.Services.Hypervisor.RedefineCheckpointAsync(
                    context.Spec.Vm, failover.Bitmap, [.. failover.Disks.Select(disk => disk.TargetDevice)], cancellationToken);
            }
        }
        catch (HypervisorException lost) when (lost.Fault is HypervisorFault.TrackingLost or HypervisorFault.Refused or HypervisorFault.NotRunning)
        {
            // The guest crashed since its first boot: what changed is found by comparison when the VM comes home.
            Log.TrackingLost(context.Logger, context.Vm, lost.Message);
        }

        foreach (FailoverDisk disk in failover.Disks)
        {
            await context.Services.Images.DeleteAsync(disk.Overlay, cancellationToken);
            await context.Services.Images.DeleteAsync(disk.SecondOverlay, cancellationToken);
        }
    }
}
