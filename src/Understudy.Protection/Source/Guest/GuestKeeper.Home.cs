using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source.Guest;

/// <summary>A guest whose VM is owned here (again): it goes on where it was stopped.</summary>
public sealed partial class GuestKeeper
{
    /// <summary>
    /// Whether it is paused here under a line that was never noted as lost. Where the disk took no writes that was us
    /// (<see cref="StandStillAsync"/>), perhaps in a life that has ended since: it goes on with the VM, as one would that was
    /// found paused when the newer line was noted.
    /// </summary>
    public async ValueTask<bool> StandsStillUnnotedAsync(CancellationToken cancellationToken) =>
        Ownership.Record.State is OwnershipState.Here && _record is { Deposed: null, GoesOn: false }
        && await _environment.Lifecycle.GetRunStateAsync(Vm, cancellationToken) == VmRunState.Paused;

    /// <summary>To be called before the VM is taken back from a newer line.</summary>
    public async ValueTask NoteStandingStillAsync(CancellationToken cancellationToken)
    {
        if (await StandsStillUnnotedAsync(cancellationToken))
        {
            await WillGoOnAsync(true, cancellationToken);
        }
    }

    private async ValueTask BringBackAsync(CancellationToken cancellationToken)
    {
        (_shutdownBegan, _shutdownAskedAt) = (null, null);
        if (_record.LinksAreCut)
        {
            await TurnLinksAsync(up: true, cancellationToken);
        }

        if (_stoodStill)
        {
            await GoOnLaterAsync(cancellationToken);
            _stoodStill = false;
        }

        if (_record.Deposed is not null)
        {
            await SaveAsync(_record with { Deposed = null }, cancellationToken);
        }

        await NoteDisksAsync(cancellationToken);
        await NoteAutostartAsync(cancellationToken);
        await EndWaitByPolicyAsync(cancellationToken);
        if (!_record.GoesOn || !Ownership.MayRun)
        {
            return;
        }

        switch (await _environment.Lifecycle.GetRunStateAsync(Vm, cancellationToken))
        {
            case VmRunState.Off or VmRunState.Crashed:
                await _environment.Lifecycle.StartAsync(Vm, cancellationToken);
                break;
            case VmRunState.Paused:
                await _environment.Lifecycle.ResumeAsync(Vm, cancellationToken);
                break;
            case VmRunState.Running or VmRunState.PausedIoError or VmRunState.Absent:
                break;
            case VmRunState.ShuttingDown:
                return; // Asked before it was wanted back: started when it is off.
            default:
                throw new System.Diagnostics.UnreachableException();
        }

        Log.GuestGoesOn(_environment.Logger, Ownership.Record.VmName);
        await SaveAsync(_record with { GoesOn = false }, cancellationToken);
    }

    /// <summary>In a boot in which nobody has said yet that the VM is still owned here, the hypervisor could not start it with
    /// the host: it is started when somebody has. Noted before that, so that dying then does not forget it.</summary>
    private async ValueTask NoteAutostartAsync(CancellationToken cancellationToken)
    {
        if (_autostartNoted || Ownership.Record.State is not OwnershipState.Here { Fence: null } here || here.Boot == Ownership.Boot)
        {
            return;
        }

        if (await _environment.Inventory.FindVmAsync(Vm, cancellationToken) is { Autostart: true, State: VmRunState.Off or VmRunState.Crashed } && !_record.GoesOn)
        {
            await SaveAsync(_record with { GoesOn = true }, cancellationToken);
        }

        _autostartNoted = true;
    }

    /// <summary>The hook counts the same time by itself, for the case that no agent runs.</summary>
    private async ValueTask EndWaitByPolicyAsync(CancellationToken cancellationToken)
    {
        if (StartsAfter is { } after
            && Ownership.Record.State is OwnershipState.Here { Fence: null } here && here.Boot != Ownership.Boot
            && _environment.Time.GetElapsedTime(_began) >= after)
        {
            _environment.Events.Raise(new SourceEvent(
                SourceEventKind.StartedUnasked,
                Vm,
                $"VM {Ownership.Record.VmName}: {after.TotalMinutes:0.#} min after the boot nobody has said whether it is still owned here; by its policy it may be started",
                "See that it does not run at the other site.",
                _environment.Time.GetUtcNow()));
            await Ownership.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
        }
    }
}
