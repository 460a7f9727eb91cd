using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Durable;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// Makes the guest here do what the token says, beside the steps. While the VM is not owned here a copy that runs is paused
/// each time it is looked at, whoever has started or resumed it. While it is, a guest that was on when the host went down is
/// started again, once somebody has said in the new boot that it still is owned here: before that the guard refused it.
/// </summary>
internal sealed partial class FailoverRuns
{
    private readonly long _began = context.Services.Time.GetTimestamp();
    private GuestSeen? _seen;
    private long? _lookedAt;

    /// <summary>Policy: how long nobody may leave it open, after a boot, whether the VM is still owned here; null for ever.</summary>
    public TimeSpan? StartsAfter { get; set; }

    /// <summary>For a loop of its own: a commit may hold the steps' gate for hours.</summary>
    public async ValueTask KeepGuestAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _guestGate.EnterAsync(cancellationToken);
        await Token.MendAsync(cancellationToken);
        await EndWaitByPolicyAsync(cancellationToken);
        if (Token.Record.State is not OwnershipState.Here)
        {
            await KeepStillAsync(cancellationToken);
        }
        else if (Token.MayRun && Current is { } failover && FailoverSteps.HasGuest(failover.Step))
        {
            await KeepOnAsync(failover, cancellationToken);
        }
    }

    /// <summary>
    /// A human's word: the VM that was failed over may run here, whatever the other side does. A claim that only waited to be
    /// validated after a boot is valid now. Where a commit stands still because the VM was claimed at its source, a line begins
    /// that is newer than that one, and it is the source that steps back.
    /// </summary>
    /// <exception cref="RefusedException">Nothing of the VM stands here that could be claimed; or it is on its way off.</exception>
    public async ValueTask<LineId> ClaimAsync(bool start, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _guestGate.EnterAsync(cancellationToken);
        FailoverRecord failover = RequireClaimable();
        OwnershipRecord record = Token.Record;
        await Token.TakeAsync(
            record.State is OwnershipState.Here
                ? new OwnershipMessage.Validate()
                : new OwnershipMessage.Claim(LineSteps.Claim(record.Line, context.Services.Ids.NewRandom128()), failover.Point),
            cancellationToken);
        if (start && FailoverSteps.HasGuest(failover.Step)) // Otherwise its own steps end with its start.
        {
            await BringOnAsync(failover, cancellationToken);
            await NoteAsync(failover, runs: true, cancellationToken);
        }

        return Token.Record.Line;
    }

    /// <summary>The hook counts the same time by itself, for the case that no agent runs.</summary>
    private async ValueTask EndWaitByPolicyAsync(CancellationToken cancellationToken)
    {
        TimeProvider time = context.Services.Time;
        if (StartsAfter is { } after && time.GetElapsedTime(_began) >= after
            && Token.Record.State is OwnershipState.Here { Fence: null } here && here.Boot != Token.Boot)
        {
            context.Services.News?.Raise(new SourceEvent(
                SourceEventKind.StartedUnasked,
                context.Spec.Vm,
                $"VM {Token.Record.VmName}: {after.TotalMinutes:0.#} min after the boot nobody has said whether it is still owned here; by its policy it may be started",
                "See that it does not run at the other site.",
                time.GetUtcNow()));
            await Token.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
        }
    }

    private FailoverRecord RequireClaimable() => (Current, Token.Record.State) switch
    {
        (null or { Step: FailoverStep.Preparing }, _) => throw new RefusedException(
            RefusalCode.NotFailedOver, $"{context.Vm} has not been failed over to this host.", "Fail it over: 'understudy local failover'."),
        ({ Leave.Next: null, Leave.Back: not null }, _) => throw new RefusedException(
            RefusalCode.Busy, $"{context.Vm} is being given back to its source.", "Wait for that to end; then fail it over again: 'understudy local failover'."),
        ({ } failover, OwnershipState.Here) => failover,
        ({ } failover, OwnershipState.Elsewhere) when !FailoverSteps.CanBeUndone(failover.Step) => failover,
        _ => throw new RefusedException(
            RefusalCode.NotOwner, $"{context.Vm} was claimed at its source, by line {Token.Record.Line}, and is being ended here.",
            "Wait for that to end; then fail it over again: 'understudy local failover'."),
    };

    /// <summary>A mere replica has no guest: one that runs was started past the guard, and is found a little later.</summary>
    private async ValueTask KeepStillAsync(CancellationToken cancellationToken)
    {
        TimeProvider time = context.Services.Time;
        if (Current is null && _lookedAt is { } last && time.GetElapsedTime(last) < context.Services.Settings.HousekeepingEvery)
        {
            return;
        }

        _lookedAt = time.GetTimestamp();
        if (await Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken) is not (VmRunState.Running or VmRunState.ShuttingDown))
        {
            return;
        }

        try
        {
            await Hypervisor.SuspendAsync(context.Spec.Vm, cancellationToken);
            Log.GuestPaused(context.Logger, context.Vm, Token.Record.Line);
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NotRunning or HypervisorFault.NoSuchVm)
        {
            // It went off by itself: as good.
        }
    }

    private async ValueTask KeepOnAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        VmRunState state = await Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken);
        if (state is VmRunState.Off or VmRunState.Crashed && await StartsWithTheHostAsync(failover, cancellationToken))
        {
            await BringOnAsync(failover, cancellationToken);
            Log.GuestGoesOn(context.Logger, context.Vm);
            state = VmRunState.Running;
        }

        // A crash is nobody's wish: should the host boot next, it is started with it.
        await NoteAsync(failover, runs: state is not (VmRunState.Off or VmRunState.Absent), cancellationToken);
    }

    /// <summary>It was on when it was last seen, in a boot before this one, or is to start with the host by the user's own word.</summary>
    private async ValueTask<bool> StartsWithTheHostAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        return _seen is { } seen && seen.Failover == failover.Id && seen.Boot != Token.Boot
            && (seen.Runs || await Hypervisor.FindVmAsync(context.Spec.Vm, cancellationToken) is { Autostart: true });
    }

    private async ValueTask BringOnAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (FailoverSteps.Rule(failover.Step).GuestOnViews)
        {
            await ServeAsync(failover, cancellationToken); // Its daemon has gone with the boot.
        }

        switch (await Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken))
        {
            case VmRunState.Off or VmRunState.Crashed:
                await Hypervisor.StartAsync(context.Spec.Vm, cancellationToken);
                break;
            case VmRunState.Paused:
                await Hypervisor.ResumeAsync(context.Spec.Vm, cancellationToken);
                break;
            case VmRunState.Running or VmRunState.PausedIoError or VmRunState.ShuttingDown or VmRunState.Absent:
                break;
            default:
                throw new UnreachableException();
        }
    }

    private async ValueTask NoteAsync(FailoverRecord failover, bool runs, CancellationToken cancellationToken)
    {
        GuestSeen seen = new(failover.Id, runs, Token.Boot);
        if (seen != _seen)
        {
            await RunFiles.GuestDocument.SaveAsync(context.State, RunFiles.Guest, seen, cancellationToken);
            _seen = seen;
        }
    }

    private async ValueTask ForgetGuestAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _guestGate.EnterAsync(cancellationToken);
        await DurableDocument<GuestSeen>.DeleteAsync(context.State, RunFiles.Guest, cancellationToken);
        _seen = null;
    }
}
