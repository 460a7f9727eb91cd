using System.Runtime.InteropServices;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Capture;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    public async ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken) =>
        await _connection.OnDomainAsync(vm, Lane.Query, "list the checkpoints", _settings.QueryLimit, ListCheckpoints, cancellationToken);

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
            capture = new LibvirtCapture(_captures, request, names, cutAt);
            await capture.OpenAsync(new ScratchWatch(_connection, _settings, _time, request, limit, wasPaused), cancellationToken);
            return capture;
        }
        catch
        {
            await UndoBeginAsync(capture, request, names);
            throw;
        }
    }

    public async ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken)
    {
        try
        {
            await ChangeAsync(vm, $"delete checkpoint {name}", domain => DeleteCheckpoint(domain, name), cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault == HypervisorFault.NoSuchVm)
        {
        }
    }

    public async ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken) => await _captures.ClearStaleAsync(vm, cancellationToken);

    /// <summary>A begin that failed leaves no job, no files and no checkpoint, as far as libvirt lets us.</summary>
    private async Task UndoBeginAsync(LibvirtCapture? capture, CaptureRequest request, ScratchNames names)
    {
        if (capture is null)
        {
            // Libvirt refused, or did not answer: in the second case the job may run yet, and then ClearStaleCapture finds it.
            _captures.Release(names);
            return;
        }

        await capture.DisposeAsync();
        try
        {
            await DeleteCheckpointAsync(request.Vm, request.NewCheckpoint, CancellationToken.None);
        }
        catch (HypervisorException reason)
        {
            _logger.CheckpointLeftBehind(request.NewCheckpoint, request.Vm.ToString(), reason.Message);
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
        bool wasPaused = ReadRunState(domain) == VmRunState.PausedIoError;
        NativeResult.Check(LibvirtLibrary.DomainBackupBegin(
            domain,
            BackupXml.Begin(names, request.Since, request.TargetDevices),
            BackupXml.Checkpoint(request.NewCheckpoint, request.TargetDevices),
            0));
        return wasPaused;
    }

    /// <summary>Topological order is by age: libvirt keeps checkpoints in one chain.</summary>
    private static List<string> ListCheckpoints(DomainHandle domain)
    {
        int count = LibvirtLibrary.DomainListAllCheckpoints(domain, out nint array, LibvirtConstants.CheckpointListTopological);
        List<string> names = [];
        foreach (CheckpointHandle checkpoint in NativeResult.TakeArray(count, array, value => new CheckpointHandle(value)))
        {
            using (checkpoint)
            {
                names.Add(Marshal.PtrToStringUTF8(LibvirtLibrary.CheckpointGetName(checkpoint))!); // A checkpoint has a name.
            }
        }

        return names;
    }

    private static int DeleteCheckpoint(DomainHandle domain, string name)
    {
        using CheckpointHandle checkpoint = LibvirtLibrary.CheckpointLookupByName(domain, name, 0);
        if (checkpoint.IsInvalid)
        {
            LibvirtException reason = LibvirtException.Last();
            return reason.Code == LibvirtErrorCode.NoDomainCheckpoint ? 0 : throw reason;
        }

        if (LibvirtLibrary.CheckpointDelete(checkpoint, 0) >= 0)
        {
            return 0;
        }

        // After a crash of QEMU libvirt still lists the checkpoint, but its bitmap was never stored: only the entry is left to delete.
        LibvirtException failure = LibvirtException.Last();
        return Faults.IsTrackingLost(failure) ? LibvirtLibrary.CheckpointDelete(checkpoint, LibvirtConstants.CheckpointDeleteMetadataOnly) : throw failure;
    }
}
