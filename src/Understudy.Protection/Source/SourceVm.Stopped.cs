using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <summary>
/// The last change of a VM that is off and fenced (FO-1): its disks are read in place by the bitmaps in them. No checkpoint can
/// begin while it is off, so what is counted from afterwards is still the one before: should the VM come back, a little is
/// sent twice and nothing is missed.
/// </summary>
public sealed partial class SourceVm
{
    private async ValueTask CutStoppedAsync(WantedPoint wanted, CancellationToken cancellationToken)
    {
        if (Ownership.Record.State is not Understudy.Protection.Ownership.OwnershipState.Here { Fence: { } fence } || fence.At != wanted.Purpose.FencedAt)
        {
            wanted.Done.TrySetException(new RefusedException(
                RefusalCode.NotFenced, $"The fence of {Spec.VmName} was lifted.", "Fence it again and begin anew."));
            return;
        }

        VmFacts vm;
        try
        {
            vm = await RequireOffAsync(cancellationToken);
        }
        catch (RefusedException notOff)
        {
            wanted.Done.TrySetException(notOff);
            return;
        }

        if (_state.IsUntracked && _state.StillBehind != fence.At)
        {
            await ResynchroniseAsync(CopiedWhileOff, cancellationToken); // It was let run since.
            return;
        }

        await _environment.Stopped.CloseStaleAsync(Spec.Vm, cancellationToken);
        if (_strays)
        {
            await RemoveStraysAsync(cancellationToken);
        }

        await TakeUpDisksAsync(vm, cancellationToken);
        ShowState();
        try
        {
            _strays = true;
            if (await CaptureStoppedAsync(vm, wanted.Purpose, cancellationToken) is { } cycle)
            {
                await SaveAsync(SourceTransitions.Cut(_state, cycle), cancellationToken);
                _strays = false;
            }
        }
        catch (HypervisorException lost) when (lost.Fault == HypervisorFault.TrackingLost && _state.Checkpoint is not null)
        {
            await ResynchroniseAsync(lost.Message, cancellationToken);
        }
    }

    /// <summary>Null when a disk has another size than before: it is taken up, and the next try has it.</summary>
    private async ValueTask<PendingCycle?> CaptureStoppedAsync(VmFacts vm, CutPurpose purpose, CancellationToken cancellationToken)
    {
        StoppedDisksRequest request = new(Spec.Vm, _state.Checkpoint, [.. _state.Disks.Select(disk => PlaceOf(vm, disk))]);
        await using ICapture capture = await _environment.Stopped.OpenAsync(request, cancellationToken);
        if (!await HasSizesTakenUpAsync(capture.Disks, cancellationToken))
        {
            return null;
        }

        // A disk on its way into the points is brought there first: what was on it when the VM was given away must be at the target.
        bool joins = _state.Disks.Any(disk => disk.Joining);
        PendingCycle cycle = await DrainAsync(
            capture, _state.Checkpoint, _policy, isForPoint: !joins, joins ? CutPurpose.Timetable : purpose, cancellationToken);
        await capture.EndAsync(cancellationToken);
        Log.CutStopped(_environment.Logger, Spec.Vm, cycle.FirstSequence, cycle.LastSequence, cycle.Bytes);
        return cycle with { StillBehind = _state.Checkpoint is null ? purpose.FencedAt : null };
    }

    private StoppedDisk PlaceOf(VmFacts vm, SourceDisk disk)
    {
        VmDiskFacts facts = vm.Disks.First(known => known.TargetDevice == disk.TargetDevice); // It was just taken up from there.
        return facts.Path is { } path
            ? new StoppedDisk(disk.TargetDevice, path, facts.Format, CycleDrain.HasChangesToAsk(_state, disk))
            : throw new HypervisorException(
                HypervisorFault.Refused,
                $"disk {disk.TargetDevice} of VM {Spec.VmName} is on {facts.SourceType} source {facts.Source}, which cannot be read while the VM is off",
                "Start the pool of a volume; otherwise start the VM, and exclude the disk or move it to a file or block device.");
    }

    /// <summary>The VM, when its disks hold all of it.</summary>
    private async ValueTask<VmFacts> RequireOffAsync(CancellationToken cancellationToken) => await _environment.Inventory.FindVmAsync(Spec.Vm, cancellationToken) switch
    {
        null or { State: VmRunState.Absent } => throw new RefusedException(
            RefusalCode.NoSuchVm, $"{Spec.VmName} is not defined on its host any more.", "Define it again, or fail over to the newest point."),
        { State: not (VmRunState.Off or VmRunState.Crashed) } => throw new RefusedException(
            RefusalCode.VmRuns, $"The guest of {Spec.VmName} is not off.", "Shut it down first."),
        { HasSavedState: true } saved => throw new RefusedException(
            RefusalCode.SavedState,
            $"{Spec.VmName} has a saved state: what its guest had not written yet is in that and not on its disks.",
            $"Start it: virsh restore FILE where it was saved to a file. To give a managed state up, virsh managedsave-remove {saved.Name} first."),
        { } off => off,
    };
}
