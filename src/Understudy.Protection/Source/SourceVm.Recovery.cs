using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    /// <summary>Once a run: what is durable, what the hypervisor still has, and what follows (<see cref="RecoveryRules"/>).</summary>
    private async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<string>? listed = null;
        try
        {
            listed = await _environment.Capture.ListCheckpointsAsync(Spec.Vm, cancellationToken);
        }
        catch (HypervisorException unknown)
        {
            // A pending cycle is sent all the same; the next cut will find out about the checkpoints.
            Log.CannotList(_environment.Logger, Spec.Vm, unknown.Message);
        }

        await _environment.Stopped.CloseStaleAsync(Spec.Vm, cancellationToken); // It would keep the VM from starting.
        SpoolSight spool = _state.Pending is not { } pending ? SpoolSight.None
            : await _spool.LooksWholeAsync(pending, cancellationToken) ? SpoolSight.Whole
            : SpoolSight.Broken;
        CheckpointSight old = Sight(_state.Checkpoint, listed);
        CheckpointSight cut = Sight(_state.Pending?.Checkpoint, listed);
        RecoveryAction action = RecoveryRules.Decide(spool, old, cut);
        Log.Recovered(_environment.Logger, Spec.Vm, spool, old, cut, action);
        switch (action)
        {
            case RecoveryAction.GoOn or RecoveryAction.Deliver:
                break;
            case RecoveryAction.GiveUp:
                await GiveUpAsync("its spool or its checkpoint was gone after a restart", cancellationToken);
                break;
            case RecoveryAction.Resynchronise:
                await ResynchroniseAsync("the checkpoint that tracks changes was gone after a restart", cancellationToken);
                break;
            default:
                throw new System.Diagnostics.UnreachableException();
        }

        _recovered = true;
        ShowState();
    }

    private static CheckpointSight Sight(string? name, IReadOnlyList<string>? listed) =>
        name is null ? CheckpointSight.None
        : listed is null ? CheckpointSight.Unknown
        : listed.Contains(name) ? CheckpointSight.Listed
        : CheckpointSight.Missing;

    /// <summary>Removes what a crash or a failed cut left: the capture, checkpoints the state does not name, spool files.</summary>
    private async ValueTask RemoveStraysAsync(CancellationToken cancellationToken)
    {
        Invariant.Check(_state.Pending is null, "strays are removed only while nothing is pending");
        await RemoveStrayCheckpointsAsync(_state.Checkpoint, cancellationToken);
        await _spool.KeepOnlyAsync(null, cancellationToken);
        _strays = false;
    }

    /// <summary>Newest first: libvirt merges a deleted checkpoint into the one before it, and the one before the strays is
    /// the one that must end up with all their changes.</summary>
    private async ValueTask RemoveStrayCheckpointsAsync(string? keep, CancellationToken cancellationToken)
    {
        await _environment.Capture.ClearStaleCaptureAsync(Spec.Vm, cancellationToken);
        List<(long Milliseconds, string Name)> ours = [];
        foreach (string name in await _environment.Capture.ListCheckpointsAsync(Spec.Vm, cancellationToken))
        {
            if (CheckpointNames.MillisecondsOf(Spec.Replica, name) is { } milliseconds)
            {
                _lastNameMilliseconds = Math.Max(_lastNameMilliseconds, milliseconds);
                ours.Add((milliseconds, name));
            }
        }

        ours.Sort();
        for (int i = ours.Count - 1; i >= 0; i--)
        {
            if (ours[i].Name != keep)
            {
                await _environment.Capture.DeleteCheckpointAsync(Spec.Vm, ours[i].Name, cancellationToken);
            }
        }
    }

    private async ValueTask GiveUpAsync(string reason, CancellationToken cancellationToken)
    {
        await SaveAsync(SourceTransitions.GiveUp(_state), cancellationToken);
        _strays = true;
        await DisconnectAsync(); // What the target really has of it, only a new WELCOME says.
        Raise(SourceEventKind.CycleGivenUp, $"an undelivered cycle was given up: {reason}", "Nothing is lost: the next cycle covers it.");
    }

    /// <param name="flushed">Where the target stands, when it has just said so.</param>
    private async ValueTask ResynchroniseAsync(string reason, CancellationToken cancellationToken, ulong? flushed = null)
    {
        SourceState resynchronising = SourceTransitions.Resynchronise(_state, reason, targetIsKnown: flushed is null);
        await SaveAsync(
            flushed is { } sequence ? SourceTransitions.SequenceLearnt(resynchronising, sequence) : resynchronising, cancellationToken);
        _strays = true;
        RaiseResynchronisation(reason);
    }

    private void RaiseResynchronisation(string reason)
    {
        _statistics.CopyBegins();
        Raise(
            SourceEventKind.ResynchronisationStarted,
            $"all disks are compared with what the target holds, and only what differs is sent: {reason}",
            "The recovery points listed stay good; the next one comes when this is done.");
    }
}
