using System.Globalization;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source.Guest;

/// <summary>A guest whose VM is owned elsewhere (PRE-5): it stands still within seconds of the contact, and its disks are
/// kept as they are.</summary>
public sealed partial class GuestKeeper
{
    /// <summary>A guest that is to shut down because it was deposed is paused when it has not by then.</summary>
    private static readonly TimeSpan ShutdownPatience = TimeSpan.FromMinutes(2);

    private async ValueTask KeepDeposedAsync(OwnershipRecord owned, Deposition deposition, CancellationToken cancellationToken)
    {
        if (_record.Deposed is not { } deposed || deposed.Lost != deposition.Lost)
        {
            BranchId branch = new(_environment.Ids.NewGuid());
            deposed = new DeposedSource(branch, deposition.Lost, owned.Line, deposition.MintedAt, deposition.LearntAt, WhenDeposed);
            await SaveAsync(_record with { Deposed = deposed }, cancellationToken);
        }

        VmRunState state = await _environment.Lifecycle.GetRunStateAsync(Vm, cancellationToken);
        bool running = state is VmRunState.Running or VmRunState.ShuttingDown;
        if (IsOn(state) && !deposed.Settled && !deposed.FoundRunning)
        {
            deposed = deposed with { FoundRunning = true };
            await SaveAsync(_record with { Deposed = deposed, GoesOn = _record.GoesOn || !running }, cancellationToken);
        }

        if (running && !await StopDeposedAsync(deposed.Action, cancellationToken))
        {
            return;
        }

        if (!deposed.Settled)
        {
            await NoteLateDisksAsync(cancellationToken);
            DateTimeOffset? stopped = deposed.FoundRunning ? _environment.Time.GetUtcNow() : null;
            RaiseDeposed(owned, deposed, stopped); // Before it is noted: said twice is better than never.
            await SaveAsync(_record with { Deposed = deposed with { Settled = true, StoppedAt = stopped } }, cancellationToken);
        }
        else if (running && deposed.Action != DeposedAction.CutNics)
        {
            RaiseStartedAnyway();
        }
    }

    /// <summary>True when the guest does no harm any more.</summary>
    private async ValueTask<bool> StopDeposedAsync(DeposedAction action, CancellationToken cancellationToken)
    {
        switch (action)
        {
            case DeposedAction.CutNics:
                await CutLinksAsync(cancellationToken);
                return true;
            case DeposedAction.ShutDown when HasPatience():
                await GoOnLaterAsync(cancellationToken);
                await AskForShutdownAsync(cancellationToken);
                return false;
            default:
                await PauseAsync(cancellationToken);
                return true;
        }
    }

    /// <summary>Given away in good order, and running all the same: the guard was passed by.</summary>
    private async ValueTask KeepOffAsync(CancellationToken cancellationToken)
    {
        if (await _environment.Lifecycle.GetRunStateAsync(Vm, cancellationToken) == VmRunState.Running)
        {
            await PauseAsync(cancellationToken);
            RaiseStartedAnyway();
        }
    }

    /// <summary>Nothing can be noted, the disk here takes no writes: two copies that run cost data, a pause that is forgotten costs
    /// a person's `virsh resume`.</summary>
    private async ValueTask StandStillAsync(CancellationToken cancellationToken)
    {
        if (await _environment.Lifecycle.GetRunStateAsync(Vm, cancellationToken) is VmRunState.Running or VmRunState.ShuttingDown)
        {
            _stoodStill = true;
            await SuspendAsync(cancellationToken);
        }
    }

    private async ValueTask PauseAsync(CancellationToken cancellationToken)
    {
        await GoOnLaterAsync(cancellationToken);
        await SuspendAsync(cancellationToken);
    }

    private async ValueTask SuspendAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _environment.Lifecycle.SuspendAsync(Vm, cancellationToken);
            Log.GuestPaused(_environment.Logger, Ownership.Record.VmName, Ownership.Record.Line);
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NotRunning or HypervisorFault.NoSuchVm)
        {
            // It went off by itself: as good.
        }
    }

    private async ValueTask CutLinksAsync(CancellationToken cancellationToken)
    {
        if (!_record.LinksAreCut)
        {
            await SaveAsync(_record with { LinksAreCut = true }, cancellationToken);
        }

        await TurnLinksAsync(up: false, cancellationToken); // Again at each look: somebody may have plugged one in.
    }

    private async ValueTask TurnLinksAsync(bool up, CancellationToken cancellationToken)
    {
        try
        {
            await _environment.Lifecycle.SetLinksAsync(Vm, up, cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NotRunning or HypervisorFault.NoSuchVm)
        {
            // Its next start has its cables as they are defined.
        }

        if (up)
        {
            await SaveAsync(_record with { LinksAreCut = false }, cancellationToken);
        }
    }

    /// <summary>Counted in this process: an agent that died in between begins anew, and a shutdown can be asked for twice.</summary>
    private bool HasPatience()
    {
        _shutdownBegan ??= _environment.Time.GetTimestamp();
        return _environment.Time.GetElapsedTime(_shutdownBegan.Value) < ShutdownPatience;
    }

    private async ValueTask AskForShutdownAsync(CancellationToken cancellationToken)
    {
        if (_shutdownAskedAt is not { } asked || _environment.Time.GetElapsedTime(asked) >= AskAgainAfter)
        {
            _shutdownAskedAt = _environment.Time.GetTimestamp();
            await AskToStopAsync(powerOff: false, cancellationToken);
        }
    }

    private async ValueTask GoOnLaterAsync(CancellationToken cancellationToken)
    {
        if (!_record.GoesOn)
        {
            await SaveAsync(_record with { GoesOn = true }, cancellationToken);
        }
    }

    private void RaiseDeposed(OwnershipRecord owned, DeposedSource deposed, DateTimeOffset? stopped)
    {
        string did = deposed.Action == DeposedAction.CutNics ? "its network was cut" : "it was stopped";
        string what = stopped is { } at
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"line {owned.Line} owns the VM since {deposed.MintedAt:yyyy-MM-dd HH:mm:ss} UTC, and a copy ran here until {did} at {at:yyyy-MM-dd HH:mm:ss} UTC: both may have run for {Overlap(deposed.MintedAt, at)}")
            : $"line {owned.Line} owns the VM now; it was off here";
        _environment.Events.Raise(new SourceEvent(
            stopped is null ? SourceEventKind.OwnedElsewhere : SourceEventKind.Deposed,
            owned.Vm,
            $"VM {owned.VmName}: {what}",
            $"Its disks here are kept as branch {deposed.Branch}: look whether something was written that is needed.",
            _environment.Time.GetUtcNow()));
    }

    private void RaiseStartedAnyway() => _environment.Events.Raise(new SourceEvent(
        SourceEventKind.StartedAnyway,
        Vm,
        $"VM {Ownership.Record.VmName} ran here although line {Ownership.Record.Line} owns it elsewhere; it is paused again",
        "See that libvirt asks the start guard (understudy agent install-guard).",
        _environment.Time.GetUtcNow()));

    private static string Overlap(DateTimeOffset from, DateTimeOffset to) =>
        to <= from ? "no time by the two clocks" : string.Create(CultureInfo.InvariantCulture, $"{(to - from).TotalSeconds:0} s");
}
