using System.Security.Cryptography;
using System.Text;
using Understudy.Blocks;
using Understudy.Journal.Records;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    /// <summary>Reads of the definition until two agree; a VM is not being reconfigured ten times in a row.</summary>
    private const int DefinitionReads = 10;

    /// <summary>A slice is never made smaller than this part of the policy's when scratch ran full.</summary>
    private const double SmallestSlice = 1.0 / 64;

    private const string CopiedWhileOff = "it was copied while it was off, and what has changed since is not known";

    private double _sliceScale = 1;
    private volatile bool _isCutting; // Read by whoever looks after the guest.

    /// <summary>
    /// Cuts all disks at one instant and drains the cycle, or the next slice of a copy, to the spool. Until the pending
    /// state is durable nothing has happened: a fault or a crash leaves strays, which the next cut removes, and libvirt
    /// merges their changes back. Cancelled only as a whole.
    /// </summary>
    private async ValueTask CutAsync(CancellationToken cancellationToken)
    {
        _isCutting = true; // Before the VM's disks are looked up.
        try
        {
            await CutNowAsync(cancellationToken);
        }
        finally
        {
            _isCutting = false;
        }
    }

    private async ValueTask CutNowAsync(CancellationToken cancellationToken)
    {
        if (NextFinal() is { } final)
        {
            await CutStoppedAsync(final, cancellationToken);
            return;
        }

        if (await FindRunningVmAsync(cancellationToken) is not { } vm)
        {
            _waitsForVm = true;
            RefuseWanted(_ => true, IsOff());
            _isCutting = false; // Nothing is read.
            if (IsConnected)
            {
                await WaitAsync(SourceWait.VmToRun, VmPoll, cancellationToken);
            }

            return;
        }

        _waitsForVm = false;
        if (_state.IsUntracked)
        {
            await ResynchroniseAsync(CopiedWhileOff, cancellationToken);
            return;
        }

        if (_strays)
        {
            await RemoveStraysAsync(cancellationToken);
        }

        await TakeUpDisksAsync(vm, cancellationToken);

        ShowState(SourceWait.CaptureSlot);
        using CaptureLimiter.Pass slot = await _environment.Limiter.EnterAsync(cancellationToken);
        ShowState();
        _strays = true;
        try
        {
            if (await CaptureAsync(cancellationToken) is { } cycle)
            {
                await SaveAsync(SourceTransitions.Cut(_state, cycle), cancellationToken);
                _strays = false;
                _sliceScale = Math.Min(1, _sliceScale * 2);
            }
        }
        catch (HypervisorException lost) when (lost.Fault == HypervisorFault.TrackingLost && _state.Checkpoint is not null)
        {
            await ResynchroniseAsync(lost.Message, cancellationToken);
        }
        catch (HypervisorException full) when (full.Fault == HypervisorFault.ScratchFull)
        {
            _sliceScale = Math.Max(SmallestSlice, _sliceScale / 2);
            throw;
        }
    }

    private async ValueTask<VmFacts?> FindRunningVmAsync(CancellationToken cancellationToken) =>
        await _environment.Inventory.FindVmAsync(Spec.Vm, cancellationToken)
            is { State: VmRunState.Running or VmRunState.Paused or VmRunState.PausedIoError or VmRunState.ShuttingDown } running ? running : null;

    /// <summary>Null when a disk has another size than before: it is taken up, and the next cut has it.</summary>
    private async ValueTask<PendingCycle?> CaptureAsync(CancellationToken cancellationToken)
    {
        SourcePolicy policy = _policy;
        string name = NextCheckpointName();
        CaptureRequest request = new(
            Spec.Vm,
            _state.Checkpoint,
            name,
            [.. _state.Disks.Select(disk => new CaptureDisk(disk.TargetDevice, CycleDrain.HasChangesToAsk(_state, disk)))],
            policy.ScratchBytesLimit);

        bool isForPoint = _state.Copy is not null || IsDue();
        long began = _environment.Time.GetTimestamp();
        TimeSpan late = Due is { } due ? _environment.Time.GetElapsedTime(due, began) : TimeSpan.Zero;
        await using ICapture capture = await _environment.Capture.BeginCaptureAsync(request, cancellationToken);
        if (!await HasSizesTakenUpAsync(capture.Disks, cancellationToken))
        {
            return null;
        }

        CutPurpose purpose = isForPoint && _state.Copy is null ? NextWanted()?.Purpose ?? CutPurpose.Timetable : CutPurpose.Timetable;
        PendingCycle cycle = await DrainAsync(capture, name, policy, isForPoint, purpose, cancellationToken);
        await capture.EndAsync(cancellationToken);

        if (isForPoint)
        {
            _statistics.CutMade(_state.Copy is null ? late : TimeSpan.Zero, policy.Frequency);
            _lastDueCut = began;
            _cutMade = true;
        }

        _lastCut = began;
        Log.Cut(_environment.Logger, Spec.Vm, name, cycle.FirstSequence, cycle.LastSequence, cycle.Bytes);
        return cycle;
    }

    /// <param name="isForPoint">False for a slice of a disk that joins while no point is due.</param>
    private async ValueTask<PendingCycle> DrainAsync(
        ICapture capture, string? checkpoint, SourcePolicy policy, bool isForPoint, CutPurpose purpose, CancellationToken cancellationToken)
    {
        long began = _environment.Time.GetTimestamp();
        await using SpoolWriter spool = _spool.Begin(_state.AcknowledgedSequence + 1);
        _codec.Compress = policy.Compression;
        CycleWriter writer = new(spool, _codec, Spec.Line);
        if (!_state.GeometrySent)
        {
            await writer.GeometryAsync(_state.Disks, cancellationToken);
        }

        string? definitionHash = await WriteDefinitionAsync(writer, cancellationToken);
        SourcePolicy scaled = policy with { SliceBytes = Math.Max(BlockSize.Bytes, (long)(policy.SliceBytes * _sliceScale)) };
        DrainResult drained = await new CycleDrain(capture, writer, _state, scaled, SumsAtHand, _environment.Time).RunAsync(cancellationToken);
        if (_state.Checkpoint is not null)
        {
            _statistics.Changed(drained.ChangedBytes, _environment.Time.GetElapsedTime(_lastCut, began));
        }

        SourceDisk[] disks = [.. drained.Disks.Select(disk => disk.Joining && disk.IsWhole ? disk with { Joining = false } : disk)];
        bool joins = !disks.SequenceEqual(drained.Disks);
        if (joins)
        {
            await writer.GeometryAsync(disks, cancellationToken); // Whole at this cut: from here on the points have it.
        }

        bool listed = (isForPoint || joins) && disks.All(disk => disk.IsWhole || disk.Joining);
        await writer.CheckpointAsync(
            new CheckpointBody { Kind = purpose.Kind, CutAt = capture.CutAt, Hidden = !listed, Label = purpose.Label ?? "" }, cancellationToken);
        return new PendingCycle(
            checkpoint,
            capture.CutAt,
            listed,
            spool.FirstSequence,
            spool.NextSequence - 1,
            spool.FirstSegment,
            spool.LastSegment,
            spool.Bytes,
            disks,
            drained.Compared,
            CarriesGeometry: joins || !_state.GeometrySent,
            definitionHash,
            purpose);
    }

    /// <summary>Null when the target has this definition already. Read after the cut, until two reads agree.</summary>
    private async ValueTask<string?> WriteDefinitionAsync(CycleWriter writer, CancellationToken cancellationToken)
    {
        string xml = await ReadDefinitionAsync(cancellationToken);
        for (int reads = 1; ; reads++)
        {
            string again = await ReadDefinitionAsync(cancellationToken);
            if (again == xml)
            {
                break;
            }

            if (reads == DefinitionReads)
            {
                throw new HypervisorException(HypervisorFault.Busy, $"the definition of VM {Spec.VmName} changes with every read");
            }

            xml = again;
        }

        RequireDefined(xml);
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(xml)));
        if (hash == _state.DefinitionHash)
        {
            return null;
        }

        await writer.DefinitionAsync(xml, cancellationToken);
        return hash;
    }

    /// <summary>What the next start would use: without what only this run has (addresses, labels, open ports).</summary>
    private ValueTask<string> ReadDefinitionAsync(CancellationToken cancellationToken) =>
        _environment.Inventory.GetDefinitionAsync(Spec.Vm, DefinitionKind.Inactive, cancellationToken);

    private string NextCheckpointName()
    {
        long now = _environment.Time.GetUtcNow().ToUnixTimeMilliseconds();
        _lastNameMilliseconds = Math.Max(now, _lastNameMilliseconds + 1);
        return CheckpointNames.Make(Spec.Replica, _lastNameMilliseconds);
    }
}
