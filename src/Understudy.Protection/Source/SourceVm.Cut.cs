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

    private double _sliceScale = 1;

    /// <summary>
    /// Cuts all disks at one instant and drains the cycle, or the next slice of a copy, to the spool. Until the pending
    /// state is durable nothing has happened: a fault or a crash leaves strays, which the next cut removes, and libvirt
    /// merges their changes back. Cancelled only as a whole.
    /// </summary>
    private async ValueTask CutAsync(CancellationToken cancellationToken)
    {
        if (!await VmIsRunningAsync(cancellationToken))
        {
            ShowState(SourceWait.VmToRun);
            await WaitAsync(SourceWait.VmToRun, VmPoll, cancellationToken);
            return;
        }

        if (_strays)
        {
            await RemoveStraysAsync(cancellationToken);
        }

        ShowState(SourceWait.CaptureSlot);
        using CaptureLimiter.Pass slot = await _environment.Limiter.EnterAsync(cancellationToken);
        ShowState();
        _strays = true;
        try
        {
            await SaveAsync(SourceTransitions.Cut(_state, await CaptureAsync(cancellationToken)), cancellationToken);
            _strays = false;
            _sliceScale = Math.Min(1, _sliceScale * 2);
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

    private async ValueTask<bool> VmIsRunningAsync(CancellationToken cancellationToken) =>
        await _environment.Inventory.FindVmAsync(Spec.Vm, cancellationToken)
            is { State: VmRunState.Running or VmRunState.Paused or VmRunState.PausedIoError or VmRunState.ShuttingDown };

    private async ValueTask<PendingCycle> CaptureAsync(CancellationToken cancellationToken)
    {
        SourcePolicy policy = _policy;
        string name = NextCheckpointName();
        CaptureRequest request = new(
            Spec.Vm, _state.Checkpoint, name, [.. Spec.Disks.Select(disk => disk.TargetDevice)], policy.ScratchBytesLimit);

        long began = _environment.Time.GetTimestamp();
        TimeSpan late = Due is { } due ? _environment.Time.GetElapsedTime(due, began) : TimeSpan.Zero;
        await using ICapture capture = await _environment.Capture.BeginCaptureAsync(request, cancellationToken);
        PendingCycle cycle = await DrainAsync(capture, name, policy, began, cancellationToken);
        await capture.EndAsync(cancellationToken);

        _statistics.CutMade(_state.Copy is null ? late : TimeSpan.Zero, policy.Frequency);
        _lastCut = began;
        _cutMade = true;
        Log.Cut(_environment.Logger, Spec.Vm, name, cycle.FirstSequence, cycle.LastSequence, cycle.Bytes);
        return cycle;
    }

    private async ValueTask<PendingCycle> DrainAsync(
        ICapture capture, string name, SourcePolicy policy, long began, CancellationToken cancellationToken)
    {
        CheckSizes(capture.Disks);
        await using SpoolWriter spool = _spool.Begin(_state.AcknowledgedSequence + 1);
        _codec.Compress = policy.Compression;
        CycleWriter writer = new(spool, _codec, Spec.Line);
        if (!_state.GeometrySent)
        {
            await writer.GeometryAsync(Spec.Disks, cancellationToken);
        }

        string? definitionHash = await WriteDefinitionAsync(writer, cancellationToken);
        SourcePolicy scaled = policy with { SliceBytes = Math.Max(BlockSize.Bytes, (long)(policy.SliceBytes * _sliceScale)) };
        DrainResult drained = await new CycleDrain(capture, writer, _state, scaled, _environment.Time).RunAsync(cancellationToken);
        if (_state.Checkpoint is not null)
        {
            _statistics.Changed(drained.ChangedBytes, _environment.Time.GetElapsedTime(_lastCut, began));
        }

        bool listed = drained.Reached is not { } reached || reached.CompareTo(CopyPosition.EndOf(Spec.Disks)) >= 0;
        await writer.CheckpointAsync(
            new CheckpointBody { Kind = PointKind.Crash, CutAt = capture.CutAt, Hidden = !listed }, cancellationToken);
        return new PendingCycle(
            name,
            capture.CutAt,
            listed,
            spool.FirstSequence,
            spool.NextSequence - 1,
            spool.FirstSegment,
            spool.LastSegment,
            spool.Bytes,
            drained.Reached,
            CarriesGeometry: !_state.GeometrySent,
            definitionHash);
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

    /// <summary>A disk that was resized or exchanged cannot be replicated as the old one.</summary>
    private void CheckSizes(IReadOnlyList<CapturedDisk> captured)
    {
        Invariant.Check(captured.Count == Spec.Disks.Count, "the capture has other disks than were asked for");
        for (int i = 0; i < captured.Count; i++)
        {
            SourceDisk disk = Spec.Disks[i];
            Invariant.Check(captured[i].TargetDevice == disk.TargetDevice, "the capture's disks are in another order");
            if (captured[i].SizeBytes != disk.SizeBytes)
            {
                throw new HypervisorException(
                    HypervisorFault.Refused,
                    $"disk {disk.TargetDevice} of VM {Spec.VmName} has {captured[i].SizeBytes} bytes now, it is protected with {disk.SizeBytes}",
                    "Stop protecting the VM and protect it again; taking up a changed disk is not built yet.");
            }
        }
    }

    private string NextCheckpointName()
    {
        long now = _environment.Time.GetUtcNow().ToUnixTimeMilliseconds();
        _lastNameMilliseconds = Math.Max(now, _lastNameMilliseconds + 1);
        return CheckpointNames.Make(Spec.Replica, _lastNameMilliseconds);
    }
}
