using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Protection.Durable;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// The failover of one replica: started, moved to another point, cancelled, committed (FO-1 to FO-5). There is at most one;
/// its file names the step reached, written before the step's first effect, and <see cref="FailoverSteps"/> is the table of
/// what follows. Steps before the token is taken can be undone and are, when anything fails; from there on it only goes
/// forward. One gate: whoever orders and whoever recovers take turns.
/// </summary>
internal sealed partial class FailoverRuns(ReplicaContext context, TestRuns tests)
{
    private readonly AsyncGate _gate = new();

    /// <summary>Held while the guest is started, ended, paused or looked at: apart from <see cref="_gate"/>, because a commit
    /// holds that for as long as it reads and moves disks, and inside it.</summary>
    private readonly AsyncGate _guestGate = new();

    /// <summary>Held while the guest's daemon is looked after or ended: a watcher must not start again what a commit has
    /// just ended. Apart from <see cref="_gate"/>, because guests are looked after during a commit too.</summary>
    private readonly AsyncGate _daemonGate = new();

    /// <summary>Null while the replica is only a replica.</summary>
    public FailoverRecord? Current { get; private set; }

    /// <summary>What a step under way waits for; null when it does not wait.</summary>
    public string? Waiting { get; private set; }

    private IHypervisor Hypervisor => context.Services.Hypervisor;

    private OwnershipToken Token => context.Token;

    /// <summary>What stands of the failover, before anything else is opened: it decides who may open the base.</summary>
    public async ValueTask LoadAsync(CancellationToken cancellationToken)
    {
        Current = await RunFiles.FailoverDocument.LoadAsync(context.State, RunFiles.Failover, cancellationToken);
        _seen = await RunFiles.GuestDocument.LoadAsync(context.State, RunFiles.Guest, cancellationToken);
    }

    /// <summary>After a restart, before views are served. What had not taken the token is undone (whoever ordered it asks
    /// again); the rest goes on by <see cref="TendAsync"/>.</summary>
    public async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Current is not { } failover)
        {
            return;
        }

        if (FailoverSteps.Rule(failover.Step).Base == BaseAccess.None)
        {
            _ = context.Views.TryClose(failover.Id); // They had ended.
            return;
        }

        Hold(failover);
        if (FailoverSteps.Rule(failover.Step).Course == StepCourse.Undone)
        {
            await UndoAsync(failover, cancellationToken);
        }
    }

    /// <summary>For the host's loop: goes on with what was begun; nothing otherwise.</summary>
    public async ValueTask TendAsync(CancellationToken cancellationToken)
    {
        if (Current is null)
        {
            return;
        }

        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await UndoHalfMadeAsync(cancellationToken);
        await AdvanceAsync(cancellationToken);
    }

    /// <summary>Looks after the VM, while it runs on views.</summary>
    public async Task WatchAsync(GuestWatch watch, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _daemonGate.EnterAsync(cancellationToken);
        if (Current is { } running && FailoverSteps.Rule(running.Step).GuestOnViews)
        {
            WatchedGuest guest = new(running.Id, context.Spec.Vm, running.VmName, running.Point, OverlaysOf(running)) { IsForeign = !Token.MayRun };
            await watch.TendAsync(guest, cancellationToken);
        }
    }

    /// <summary>Goes on until somebody has to give an order, or a step waits for something. Before each step it is asked
    /// whether the VM has been claimed at its source meanwhile.</summary>
    private async ValueTask AdvanceAsync(CancellationToken cancellationToken)
    {
        while (Current is { } failover)
        {
            if (await TryStepAsideAsync(failover, cancellationToken))
            {
                continue;
            }

            if (FailoverSteps.Rule(failover.Step).Course != StepCourse.Forward)
            {
                return;
            }

            string? waiting = await RunStepAsync(failover, cancellationToken);
            if (waiting is not null && waiting != Waiting)
            {
                Log.StepWaits(context.Logger, context.Vm, failover.Step.ToString(), waiting);
            }

            Waiting = waiting;
            if (waiting is not null)
            {
                return;
            }

            if (FailoverSteps.After(failover) is { } next)
            {
                await SaveAsync(next, cancellationToken);
            }
            else
            {
                await ForgetAsync(cancellationToken);
            }
        }
    }

    /// <summary>Null when the step is done; otherwise what it waits for. Each can be begun twice.</summary>
    private async ValueTask<string?> RunStepAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        switch (failover.Step)
        {
            case FailoverStep.TakingOver:
                await TakeOverAsync(failover, cancellationToken);
                return null;
            case FailoverStep.Promoting:
                await tests.PromoteAsync(failover, cancellationToken);
                return null;
            case FailoverStep.Starting:
                await StartVmAsync(failover, cancellationToken);
                return null;
            case FailoverStep.Stopping:
                await StopVmAsync(failover, cancellationToken);
                return null;
            case FailoverStep.Keeping:
                await KeepAsync(failover, cancellationToken);
                return null;
            case FailoverStep.GivingBack:
                await GiveBackAsync(failover, cancellationToken);
                return null;
            case FailoverStep.Running or FailoverStep.Committed or FailoverStep.Preparing or FailoverStep.Replacing:
                throw new UnreachableException($"step {failover.Step} does not go on by itself");
            default:
                return await RunCommitStepAsync(failover, cancellationToken);
        }
    }

    private async ValueTask SaveAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await RunFiles.FailoverDocument.SaveAsync(context.State, RunFiles.Failover, failover, cancellationToken);
        Current = failover;
        Log.FailoverStepReached(context.Logger, context.Vm, failover.Point.ToString(), failover.Step.ToString());
    }

    private async ValueTask ForgetAsync(CancellationToken cancellationToken)
    {
        await ForgetGuestAsync(cancellationToken);
        await DurableDocument<FailoverRecord>.DeleteAsync(context.State, RunFiles.Failover, cancellationToken);
        Current = null;
        Waiting = null;
    }

    /// <summary>A failover or a change of the point whose attempt failed, and so did its undoing.</summary>
    private async ValueTask UndoHalfMadeAsync(CancellationToken cancellationToken)
    {
        if (Current is { } halfMade && FailoverSteps.Rule(halfMade.Step).Course == StepCourse.Undone)
        {
            await UndoAsync(halfMade, cancellationToken);
        }
    }

    /// <summary>Only while nothing irrevocable has happened: the old line still owns the VM, or it still runs on the overlay
    /// that it was to leave.</summary>
    private async ValueTask UndoAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (failover.Step == FailoverStep.Replacing)
        {
            await RemoveDisksAsync(failover.Leave!.Next!, cancellationToken); // Not null: the step is that of a change of the point.
            await SaveAsync(failover with { Step = failover.Leave.From, Leave = null }, cancellationToken);
            return;
        }

        Invariant.Check(failover.Step == FailoverStep.Preparing, "a failover that has taken over cannot be undone");
        await UndefineOursAsync(failover, cancellationToken);
        await RemoveDisksAsync(failover, cancellationToken);
        await context.Services.Images.DeleteFolderIfEmptyAsync(context.Places.LogFolder(failover.VmName), cancellationToken);
        await ForgetAsync(cancellationToken);
    }

    /// <summary>What cannot be undone now stays half made: the housekeeping, the next order or the next start of the agent
    /// tries again. The caller tells why the order failed; that matters more.</summary>
    private async ValueTask TryUndoAsync(string what)
    {
        try
        {
            await UndoHalfMadeAsync(CancellationToken.None);
        }
        catch (Exception fault)
        {
            Log.TriedAgain(context.Logger, context.Vm, $"undoing {what}", fault.Message);
        }
    }

    private static RunDisk[] OverlaysOf(FailoverRecord failover) =>
        [.. failover.Disks.Select(disk => new RunDisk(disk.Disk, disk.TargetDevice, disk.Overlay))];
}
