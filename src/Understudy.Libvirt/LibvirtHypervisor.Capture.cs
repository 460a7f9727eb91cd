using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Capture;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    public async ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken)
    {
        await PrepareScratchFolderAsync(cancellationToken);
        long limit = Math.Min(request.ScratchBytesLimit, _captures.Folder.FreeBytes()) / 2;
        ScratchNames names = ScratchNames.For(_settings.ScratchFolder, request.Vm, _ids.NewRandom128());
        _captures.Remember(names);
        LibvirtCapture? capture = null;
        try
        {
            // The cut is made during the call: everything written before this moment is in it.
            DateTimeOffset cutAt = _time.GetUtcNow();
            bool wasPaused = await _connection.OnDomainAsync(
                request.Vm, Lane.Job, "begin the backup", _settings.JobLimit, domain => BeginBackup(domain, request, names), cancellationToken);
            capture = new LibvirtCapture(_captures, request, names, cutAt, wasPaused);
            await capture.OpenAsync(new ScratchWatch(_connection, _settings, _time, request, limit, wasPaused), cancellationToken);
            return capture;
        }
        catch (Exception reason)
        {
            await UndoBeginAsync(capture, request, names, reason);
            throw;
        }
    }

    public async ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken) => await _captures.ClearStaleAsync(vm, cancellationToken);

    /// <summary>A begin that failed leaves no job, no files and no checkpoint, as far as libvirt lets us.</summary>
    private async Task UndoBeginAsync(LibvirtCapture? capture, CaptureRequest request, ScratchNames names, Exception reason)
    {
        if (capture is null)
        {
            if (reason is HypervisorException { Fault: not (HypervisorFault.TimedOut or HypervisorFault.Unreachable) })
            {
                _captures.Forget(names, request.TargetDevices);
                return;
            }

            _captures.Release(names); // Libvirt did not answer: the job may run yet, and ClearStaleCapture finds it.
            return;
        }

        await capture.DisposeAsync();
        try
        {
            await DeleteCheckpointAsync(request.Vm, request.NewCheckpoint, CancellationToken.None);
        }
        catch (UnderstudyException failure)
        {
            _logger.CheckpointLeftBehind(request.NewCheckpoint, request.Vm.ToString(), failure.Message);
        }
    }

    private async Task PrepareScratchFolderAsync(CancellationToken cancellationToken)
    {
        if (!_captures.Folder.Exists)
        {
            HostCapabilities capabilities = await _connection.CallAsync("read the capabilities", _settings.QueryLimit, ReadCapabilities, cancellationToken);
            _captures.Folder.Create(capabilities.QemuUser);
        }
    }

    /// <summary>Answers whether the VM was paused by an I/O error before.</summary>
    private static bool BeginBackup(DomainHandle domain, CaptureRequest request, ScratchNames names)
    {
        BackupJob.RequireNoneLost(domain);
        bool wasPaused = ReadRunState(domain) == VmRunState.PausedIoError;
        NativeResult.Check(LibvirtLibrary.DomainBackupBegin(
            domain,
            BackupXml.Begin(names, request.Since, request.Disks),
            BackupXml.Checkpoint(request.NewCheckpoint, request.TargetDevices),
            0));
        return wasPaused;
    }
}
