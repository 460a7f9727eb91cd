using System.Collections.Concurrent;
using Understudy.Blocks;
using Understudy.Libvirt.Xml;
using Understudy.Nbd;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Capture;

/// <summary>
/// A running pull backup, open for reading. It ends once, by whoever comes first: the reader, or the watch that saw the
/// scratch fill up. The reader always gets the reason.
/// </summary>
internal sealed class LibvirtCapture : ICapture
{
    private readonly CaptureHost _host;
    private readonly CaptureRequest _request;
    private readonly ScratchNames _names;
    private readonly bool _wasPausedByIoError;
    private readonly ConcurrentDictionary<string, NbdClient> _exports = new(StringComparer.Ordinal);
    private readonly List<CapturedDisk> _disks = [];
    private readonly AsyncGate _ending = new();
    private readonly CancellationTokenSource _stopWatch = new(); // Never disposed: ending twice is allowed.
    private Task _watch = Task.CompletedTask;
    private HypervisorException? _fault;
    private bool _ended;

    public LibvirtCapture(CaptureHost host, CaptureRequest request, ScratchNames names, DateTimeOffset cutAt, bool wasPausedByIoError)
    {
        _host = host;
        _request = request;
        _names = names;
        CutAt = cutAt;
        _wasPausedByIoError = wasPausedByIoError;
    }

    public IReadOnlyList<CapturedDisk> Disks => _disks;

    public DateTimeOffset CutAt { get; }

    /// <summary>Connects to every disk at once and makes sure that the changes can really be asked for.</summary>
    public async Task OpenAsync(ScratchWatch watch, CancellationToken cancellationToken)
    {
        await Task.WhenAll(_request.Disks.Select(disk => ConnectAsync(disk, cancellationToken)));
        foreach ((string device, bool wantsChanges) in _request.Disks)
        {
            NbdClient export = _exports[device];
            _disks.Add(new CapturedDisk(device, export.SizeBytes, new CapturedContent(this, export)));
            if (_request.Since is { } since && wantsChanges && !export.HasContext(BackupXml.DirtyContext(device)))
            {
                throw new HypervisorException(
                    HypervisorFault.TrackingLost,
                    $"QEMU of VM {_request.Vm} does not offer the changes of disk {device} since {since}",
                    "Nothing to do: the disks are read in full once, and tracking begins anew.");
            }
        }

        _watch = watch.RunAsync(EndByWatchAsync, _stopWatch.Token);
    }

    public async ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken)
    {
        Invariant.Check(_request.Since is not null, "changes were asked of a capture without a since");
        NbdClient export = _exports[disk.TargetDevice];
        try
        {
            ExtentSet dirty = await export.GetDirtyAsync(
                BackupXml.DirtyContext(disk.TargetDevice), new ByteRange(0, disk.SizeBytes), cancellationToken);
            return [.. dirty];
        }
        catch (StorageException failure)
        {
            throw Explain(failure, export);
        }
    }

    public async ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken)
    {
        NbdClient export = _exports[disk.TargetDevice];
        try
        {
            return await export.GetExtentsAsync(range, cancellationToken);
        }
        catch (StorageException failure)
        {
            throw Explain(failure, export);
        }
    }

    public async ValueTask EndAsync(CancellationToken cancellationToken)
    {
        await _stopWatch.CancelAsync();
        await _watch;
        using (await _ending.EnterAsync(cancellationToken))
        {
            if (_ended)
            {
                return;
            }

            await CloseExportsAsync();
            await _host.EndJobAsync(_request.Vm, _names, _wasPausedByIoError, cancellationToken);
            _host.Forget(_names, _request.TargetDevices);
            _ended = true;
        }
    }

    /// <summary>Never throws: what cannot be ended now (libvirt is away) is found by the next ClearStaleCapture.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await EndAsync(CancellationToken.None);
        }
        catch (Exception reason) when (reason is HypervisorException or ObjectDisposedException)
        {
            _host.Logger.CaptureLeftBehind(_request.Vm.ToString(), reason.Message);
            _host.Release(_names);
        }
    }

    /// <summary>Why reading failed: the watch's reason, the job's end from outside, or what QEMU answered.</summary>
    public Exception Explain(StorageException failure, NbdClient export)
    {
        if (Volatile.Read(ref _fault) is { } known)
        {
            return known;
        }

        return export.IsConnected
            ? failure
            : new HypervisorException(
                HypervisorFault.Busy,
                $"the capture of VM {_request.Vm} ended while it was read: {failure.Message}",
                "Nothing to do, the next cycle covers it. Was the VM stopped, or its job aborted (virsh domjobabort)?",
                failure);
    }

    /// <summary>On the watch's loop. The reason is there before the connections break.</summary>
    private async Task EndByWatchAsync(HypervisorException reason)
    {
        Volatile.Write(ref _fault, reason);
        _host.Logger.CaptureEndedEarly(_request.Vm.ToString(), reason.Message);
        await _host.EndJobAsync(_request.Vm, _names, _wasPausedByIoError, CancellationToken.None);
    }

    private async Task ConnectAsync(CaptureDisk disk, CancellationToken cancellationToken)
    {
        string device = disk.TargetDevice;
        var options = new NbdClientOptions
        {
            Export = device,
            Contexts = _request.Since is null || !disk.WantsChanges ? [] : [BackupXml.DirtyContext(device)],
            Patience = _host.Patience,
        };
        try
        {
            Stream stream = await NbdSocket.ConnectUnixAsync(_names.Socket, cancellationToken);
            _exports[device] = await NbdClient.ConnectAsync(stream, options, cancellationToken);
        }
        catch (StorageException failure)
        {
            throw new HypervisorException(
                failure.Kind == FaultKind.Denied ? HypervisorFault.Refused : HypervisorFault.Busy,
                $"the export of disk {device} of VM {_request.Vm} cannot be opened: {failure.Message}",
                failure.Remedy,
                failure);
        }
    }

    private async Task CloseExportsAsync()
    {
        foreach (NbdClient export in _exports.Values)
        {
            await export.DisposeAsync();
        }
    }
}
