using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Journal;
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

    /// <summary>Begins the commit, or goes on with it, as far as it goes now.</summary>
    public async ValueTask<CommitOutcome> CommitAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        FailoverRecord failover = Current ?? throw new RefusedException(
            RefusalCode.NotFailedOver, $"{context.Vm} has not been failed over to this host.", "Fail it over first.");
        if (failover.Step < FailoverStep.Running)
        {
            throw new RefusedException(RefusalCode.NotFailedOver, $"The failover of {context.Vm} has not ended.", "Repeat the failover; it goes on where it was.");
        }

        _damage = null;
        if (failover.Step == FailoverStep.Running)
        {
            await SaveAsync(failover with { Step = FailoverStep.Dropping }, cancellationToken);
        }

        return await AdvanceAsync(cancellationToken);
    }

    private async ValueTask<CommitOutcome> AdvanceAsync(CancellationToken cancellationToken)
    {
        while (Current is { Step: < FailoverStep.Committed } failover)
        {
            string? waiting = await RunStepAsync(failover, cancellationToken);
            if (waiting is not null && waiting != Waiting)
            {
                Log.CommitWaits(context.Logger, context.Vm, waiting);
            }

            Waiting = waiting;
            if (waiting is not null)
            {
                return new CommitOutcome([], waiting);
            }

            await SaveAsync(failover with { Step = failover.Step + 1 }, cancellationToken);
        }

        return new CommitOutcome([.. Current!.Disks.Select(disk => disk.Base)], null); // Not null: it is committed.
    }

    /// <summary>Null when the step is done; otherwise what it waits for.</summary>
    private async ValueTask<string?> RunStepAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        switch (failover.Step)
        {
            case FailoverStep.Dropping:
                await context.Slot.Replica.DropAfterAsync(failover.Point, cancellationToken);
                return null;

            case FailoverStep.Applying:
                ApplyOutcome outcome = await context.Slot.Replica.ApplyAsync(failover.Point, cancellationToken);
                Invariant.Check(outcome is not ApplyOutcome.Diverged, "what came after the point was dropped in the step before");
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

    /// <summary>(d) From here nobody but the guest's QEMU touches the base: it could not become the guest's own image
    /// while anything else holds it, even for reading.</summary>
    private async ValueTask<string?> EndViewsAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (context.Views.TryClose(failover.Id) is { } other)
        {
            return other;
        }

        using (await _daemonGate.EnterAsync(cancellationToken))
        {
            await context.RunDisks.StopDaemonAsync(failover.Id, cancellationToken);
        }

        for (int looks = 0; await context.Slot.Replica.ReleaseBaseAsync(cancellationToken) is ReleaseOutcome.InUse used; looks++)
        {
            if (looks == MostLooksForViews)
            {
                return $"the views of this replica are still read: {string.Join(", ", used.Pins)} ({used.OpenViews} open views)";
            }

            await Task.Delay(context.Services.Settings.JobPollEvery, context.Services.Time, cancellationToken);
        }

        await context.Slot.CloseAsync();
        await context.Bases.ChangeAccessAsync(BaseAccess.None, cancellationToken);
        return null;
    }

    /// <summary>(f) The bitmap in the base becomes a checkpoint that libvirt knows; then the overlays go, and the
    /// replica's journal. The step before has seen the base in the definition of the next start.</summary>
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
