using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>A cut of a <see cref="ScriptedVm"/>, open for reading.</summary>
internal sealed class ScriptedCapture : ICapture
{
    private readonly ScriptedVm _vm;
    private readonly SimProcess _agent;
    private readonly IReadOnlyDictionary<string, byte[]> _content;
    private readonly HashSet<(string Target, int Block)> _written;
    private readonly HashSet<(string Target, int Block)>? _changed;

    public ScriptedCapture(ScriptedVm vm, SimProcess agent, CaptureRequest request)
    {
        _vm = vm;
        _agent = agent;
        _written = [.. vm.Written];
        (CutAt, _content, _changed) = vm.Cut(request, agent.Time.GetUtcNow());
        Disks = [.. request.TargetDevices.Select(target => new CapturedDisk(target, _content[target].Length, new Content(this, target)))];
    }

    public ScriptedCapture(ScriptedVm vm, SimProcess agent, StoppedDisksRequest request)
    {
        _vm = vm;
        _agent = agent;
        _written = [.. vm.Written];
        (CutAt, _content, _changed) = vm.Look(request, agent.Time.GetUtcNow());
        Disks = [.. request.Disks.Select(disk => new CapturedDisk(disk.TargetDevice, _content[disk.TargetDevice].Length, new Content(this, disk.TargetDevice)))];
    }

    public IReadOnlyList<CapturedDisk> Disks { get; }

    public DateTimeOffset CutAt { get; }

    public long ReadBytes { get; private set; }

    public async ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken)
    {
        await _vm.CallAsync(_agent, "changed");
        ExtentSet set = new();
        foreach ((string target, int block) in _changed ?? throw new InvalidOperationException("no since"))
        {
            if (target == disk.TargetDevice)
            {
                set.Add(Block(disk, block));
            }
        }

        return [.. set];
    }

    public async ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken)
    {
        await _vm.CallAsync(_agent, "allocation");
        List<BlockExtent> extents = [];
        for (int block = 0; block < BlockSize.CountFor(disk.SizeBytes); block++)
        {
            ByteRange part = Block(disk, block).Intersect(range);
            if (!part.IsEmpty)
            {
                extents.Add(new BlockExtent(part, _written.Contains((disk.TargetDevice, block)) ? ExtentKind.Data : ExtentKind.Hole));
            }
        }

        return extents;
    }

    public async ValueTask EndAsync(CancellationToken cancellationToken)
    {
        await _vm.CallAsync(_agent, "end");
        Release();
    }

    public async ValueTask DisposeAsync()
    {
        await _agent.TakeTimeAsync(TimeSpan.FromMilliseconds(1));
        Release();
    }

    private static ByteRange Block(CapturedDisk disk, int block) =>
        ByteRange.FromTo((long)block * BlockSize.Bytes, Math.Min(disk.SizeBytes, (block + 1L) * BlockSize.Bytes));

    private void Release()
    {
        if (_vm.Open == this)
        {
            _vm.Open = null;
        }
    }

    private sealed class Content(ScriptedCapture capture, string disk) : IBlockDevice
    {
        public long SizeBytes => capture._content[disk].Length;

        public bool IsReadOnly => true;

        public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            await capture._vm.CallAsync(capture._agent, "read");
            if (capture._vm.Open != capture)
            {
                throw new StorageException(FaultKind.Io, "capture", "the job has ended");
            }

            capture.ReadBytes += buffer.Length;
            capture._content[disk].AsMemory((int)offsetBytes, buffer.Length).CopyTo(buffer);
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask FlushAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
