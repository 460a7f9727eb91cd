using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>A pull job of the model: the content at the cut, until it ends, dies with its QEMU, or runs out of scratch.</summary>
internal sealed class ModelCapture(ModelVm vm, Cut cut, CaptureRequest request, DateTimeOffset cutAt)
{
    private readonly HashSet<(int Disk, int Block)> _scratch = [];

    public ModelVm Vm { get; } = vm;

    public Cut Cut { get; } = cut;

    public CaptureRequest Request { get; } = request;

    public DateTimeOffset CutAt { get; } = cutAt;

    public HypervisorException? Ended { get; private set; }

    public void Die() => Ended ??= new HypervisorException(HypervisorFault.NotRunning, $"{Vm.Name}: QEMU has gone (simulated)");

    public void Stop() => Ended ??= new HypervisorException(HypervisorFault.Other, $"{Vm.Name}: the capture was ended");

    /// <summary>A guest write over a block of the cut keeps its old content in scratch.</summary>
    public void CountScratch(int disk, int block)
    {
        _scratch.Add((disk, block));
        if ((long)_scratch.Count * BlockSize.Bytes > Request.ScratchBytesLimit / 2)
        {
            Ended ??= new HypervisorException(HypervisorFault.ScratchFull, $"{Vm.Name}: scratch is half full (simulated)");
        }
    }
}

/// <summary>An agent's hold on a capture; the job itself lives in QEMU and outlives the agent.</summary>
internal sealed class ModelCaptureHandle : ICapture
{
    private readonly ModelCapture _capture;
    private readonly CallBehaviour _calls;
    private readonly SimProcess _agent;
    private readonly Action? _onRelease;

    public ModelCaptureHandle(ModelCapture capture, CallBehaviour calls, SimProcess agent, Action? onRelease = null)
    {
        _capture = capture;
        _onRelease = onRelease;
        _calls = calls;
        _agent = agent;
        Disks = [.. capture.Request.TargetDevices.Select(target =>
        {
            DiskImage image = capture.Cut.Disks[IndexOf(target)];
            return new CapturedDisk(target, image.SizeBytes, new Content(this, image));
        })];
    }

    public IReadOnlyList<CapturedDisk> Disks { get; }

    public DateTimeOffset CutAt => _capture.CutAt;

    public async ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken)
    {
        await CallAsync(cancellationToken);
        string since = _capture.Request.Since ?? throw new InvalidOperationException("the capture has no since");
        return _capture.Vm.ChangedSince(since, _capture.Request.NewCheckpoint, IndexOf(disk.TargetDevice))
            ?? throw new HypervisorException(HypervisorFault.TrackingLost, $"{since}: the bitmap is not consistent (simulated)");
    }

    public async ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken)
    {
        await CallAsync(cancellationToken);
        DiskImage image = _capture.Cut.Disks[IndexOf(disk.TargetDevice)];
        var extents = new List<BlockExtent>();
        for (long at = range.OffsetBytes; at < range.EndBytes;)
        {
            long end = Math.Min(range.EndBytes, ((at / BlockSize.Bytes) + 1) * BlockSize.Bytes);
            ExtentKind kind = image.IsHole((int)(at / BlockSize.Bytes)) ? ExtentKind.Hole : ExtentKind.Data;
            if (extents.Count > 0 && extents[^1].Kind == kind)
            {
                extents[^1] = new BlockExtent(ByteRange.FromTo(extents[^1].Range.OffsetBytes, end), kind);
            }
            else
            {
                extents.Add(new BlockExtent(ByteRange.FromTo(at, end), kind));
            }

            at = end;
        }

        return extents;
    }

    public async ValueTask EndAsync(CancellationToken cancellationToken)
    {
        await _calls.LatencyAsync(_agent, cancellationToken);
        HypervisorException? ended = _capture.Ended;
        Release();
        if (ended is not null)
        {
            throw ended;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _calls.LatencyAsync(_agent, CancellationToken.None);
        Release();
    }

    private void Release()
    {
        _capture.Stop();
        _onRelease?.Invoke();
        if (_capture.Vm.Capture == _capture)
        {
            _capture.Vm.Capture = null;
        }
    }

    private async ValueTask CallAsync(CancellationToken cancellationToken)
    {
        await _calls.LatencyAsync(_agent, cancellationToken);
        if (_capture.Ended is { } ended)
        {
            throw new HypervisorException(ended.Fault, ended.Message);
        }
    }

    private int IndexOf(string target)
    {
        for (int i = 0; i < _capture.Vm.Targets.Count; i++)
        {
            if (_capture.Vm.Targets[i] == target && i < _capture.Cut.Disks.Count)
            {
                return i;
            }
        }

        throw new HypervisorException(HypervisorFault.Refused, $"{_capture.Vm.Name} has no disk {target}");
    }

    private sealed class Content(ModelCaptureHandle owner, DiskImage image) : IBlockDevice
    {
        private readonly ModelCaptureHandle _owner = owner;
        private readonly DiskImage _image = image;

        public long SizeBytes => _image.SizeBytes;

        public bool IsReadOnly => true;

        public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(offsetBytes + buffer.Length, SizeBytes);
            await _owner._calls.ReadLatencyAsync(_owner._agent, cancellationToken);
            if (_owner._capture.Ended is not null)
            {
                throw new StorageException(FaultKind.Io, _owner._capture.Vm.Name, "the capture's connection is gone (simulated)");
            }

            _image.Read(offsetBytes, buffer.Span);
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw ReadOnly();

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw ReadOnly();

        public ValueTask FlushAsync(CancellationToken cancellationToken) => throw ReadOnly();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private static StorageException ReadOnly() => new(FaultKind.Denied, "capture", "is read-only");
    }
}
