using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>
/// A VM with libvirt's rules for checkpoints: only the newest records; deleting one merges it into the one before; a QEMU
/// that is killed takes the tracking with it. Remembers what the disks held at every cut.
/// </summary>
internal sealed class ScriptedVm(Simulator simulator, IReadOnlyList<int> diskBlocks)
{
    private readonly List<(string Name, HashSet<(int Disk, int Block)> Changed)> _checkpoints = [];
    private readonly Dictionary<DateTimeOffset, byte[][]> _cuts = [];

    public VmId Id { get; } = new(new Guid(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9));

    public IReadOnlyList<string> Targets { get; } = [.. diskBlocks.Select((_, i) => $"vd{(char)('a' + i)}")];

    public byte[][] Disks { get; } = [.. diskBlocks.Select(blocks => new byte[(blocks * BlockSize.Bytes) - 512])];

    /// <summary>Blocks never written (or discarded): what allocation calls holes.</summary>
    public HashSet<(int Disk, int Block)> Written { get; } = [];

    public VmRunState State { get; set; } = VmRunState.Running;

    public int DefinitionVersion { get; set; } = 1;

    public bool TrackingIsLost { get; set; }

    public ScriptedCapture? Open { get; set; }

    public List<string> Requests { get; } = [];

    /// <summary>Throws instead of the next call of that name, once.</summary>
    public Dictionary<string, Exception> FailNext { get; } = [];

    public IReadOnlyList<string> CheckpointNames => [.. _checkpoints.Select(checkpoint => checkpoint.Name)];

    public string Definition => $"<domain><name>app</name><description>{DefinitionVersion}</description></domain>";

    public byte[][] ContentAt(DateTimeOffset cutAt) => _cuts[cutAt];

    public int Cuts => _cuts.Count;

    public void Write(int disk, int block, ReadOnlySpan<byte> content)
    {
        content.CopyTo(Disks[disk].AsSpan(block * BlockSize.Bytes));
        Written.Add((disk, block));
        Touch(disk, block);
    }

    public void Discard(int disk, int block)
    {
        int start = block * BlockSize.Bytes;
        Disks[disk].AsSpan(start, Math.Min(BlockSize.Bytes, Disks[disk].Length - start)).Clear();
        Written.Remove((disk, block));
        Touch(disk, block);
    }

    /// <summary>QEMU is killed and started again: checkpoints stay listed, their bitmaps are gone.</summary>
    public void CrashQemu()
    {
        TrackingIsLost = _checkpoints.Count > 0;
        Open = null;
    }

    public (DateTimeOffset CutAt, byte[][] Content, IReadOnlyList<HashSet<(int Disk, int Block)>>? Changed) Cut(CaptureRequest request, DateTimeOffset now)
    {
        int since = _checkpoints.FindIndex(checkpoint => checkpoint.Name == request.Since);
        if (request.Since is not null && (TrackingIsLost || since < 0))
        {
            throw new HypervisorException(HypervisorFault.TrackingLost, $"{request.Since} is missing or inconsistent");
        }

        if (_checkpoints.Exists(checkpoint => checkpoint.Name == request.NewCheckpoint))
        {
            throw new HypervisorException(HypervisorFault.Refused, $"{request.NewCheckpoint} exists");
        }

        DateTimeOffset cutAt = new(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);
        while (_cuts.ContainsKey(cutAt))
        {
            cutAt = cutAt.AddMicroseconds(1);
        }

        List<HashSet<(int, int)>>? changed = request.Since is null ? null : [.. _checkpoints.Skip(since).Select(checkpoint => new HashSet<(int, int)>(checkpoint.Changed))];
        byte[][] content = [.. Disks.Select(disk => (byte[])disk.Clone())];
        _cuts.Add(cutAt, content);
        _checkpoints.Add((request.NewCheckpoint, []));
        return (cutAt, content, changed);
    }

    public void DeleteCheckpoint(string name)
    {
        int at = _checkpoints.FindIndex(checkpoint => checkpoint.Name == name);
        if (at > 0)
        {
            _checkpoints[at - 1].Changed.UnionWith(_checkpoints[at].Changed);
        }

        if (at >= 0)
        {
            _checkpoints.RemoveAt(at);
        }

        TrackingIsLost &= _checkpoints.Count > 0;
    }

    public ScriptedHypervisor For(SimProcess agent) => new(this, agent);

    internal async ValueTask CallAsync(SimProcess agent, string name)
    {
        await agent.TakeTimeAsync(TimeSpan.FromMilliseconds(5));
        if (FailNext.Remove(name, out Exception? fault))
        {
            throw fault;
        }
    }

    private void Touch(int disk, int block)
    {
        if (_checkpoints.Count > 0)
        {
            _checkpoints[^1].Changed.Add((disk, block));
        }

        simulator.Trace.Event(simulator.NowTicks, "guest", "writes", "", disk, block);
    }
}

/// <summary>One agent process's connection to the hypervisor of a <see cref="ScriptedVm"/>.</summary>
internal sealed class ScriptedHypervisor(ScriptedVm vm, SimProcess agent) : IVmInventory, IVmCapture
{
    public ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public async ValueTask<VmFacts?> FindVmAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "find");
        return vm.State == VmRunState.Absent
            ? null
            : new VmFacts(id, "app", vm.State, 1, 1L << 30, "bios", "pc", true, false, false, [], []);
    }

    public async ValueTask<string> GetDefinitionAsync(VmId id, DefinitionKind kind, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "definition");
        return vm.Definition;
    }

    public async ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "list");
        return vm.State == VmRunState.Absent
            ? throw new HypervisorException(HypervisorFault.NoSuchVm, "no such VM")
            : vm.CheckpointNames;
    }

    public async ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken)
    {
        vm.Requests.Add(request.Since ?? "-");
        await vm.CallAsync(agent, "begin");
        if (vm.State != VmRunState.Running || vm.Open is not null)
        {
            throw new HypervisorException(
                vm.Open is null ? HypervisorFault.NotRunning : HypervisorFault.Busy, "the VM cannot be captured now");
        }

        vm.Open = new ScriptedCapture(vm, agent, request);
        await vm.CallAsync(agent, "begun");
        return vm.Open ?? throw new HypervisorException(HypervisorFault.NotRunning, "QEMU has gone");
    }

    public async ValueTask DeleteCheckpointAsync(VmId id, string name, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "delete");
        vm.DeleteCheckpoint(name);
        await vm.CallAsync(agent, "deleted");
    }

    public async ValueTask ClearStaleCaptureAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "clear");
        vm.Open = null;
    }
}

internal sealed class ScriptedCapture : ICapture
{
    private readonly ScriptedVm _vm;
    private readonly SimProcess _agent;
    private readonly byte[][] _content;
    private readonly HashSet<(int Disk, int Block)> _written;
    private readonly IReadOnlyList<HashSet<(int Disk, int Block)>>? _changed;

    public ScriptedCapture(ScriptedVm vm, SimProcess agent, CaptureRequest request)
    {
        _vm = vm;
        _agent = agent;
        _written = [.. vm.Written];
        (CutAt, _content, _changed) = vm.Cut(request, agent.Time.GetUtcNow());
        Disks = [.. request.TargetDevices.Select((target, i) => new CapturedDisk(target, _content[i].Length, new Content(this, i)))];
    }

    public IReadOnlyList<CapturedDisk> Disks { get; }

    public DateTimeOffset CutAt { get; }

    public long ReadBytes { get; private set; }

    public async ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken)
    {
        await _vm.CallAsync(_agent, "changed");
        int index = Index(disk);
        ExtentSet set = new();
        foreach ((int d, int block) in (_changed ?? throw new InvalidOperationException("no since")).SelectMany(one => one))
        {
            if (d == index)
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
                extents.Add(new BlockExtent(part, _written.Contains((Index(disk), block)) ? ExtentKind.Data : ExtentKind.Hole));
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

    private static int Index(CapturedDisk disk) => disk.TargetDevice[2] - 'a';

    private void Release()
    {
        if (_vm.Open == this)
        {
            _vm.Open = null;
        }
    }

    private sealed class Content(ScriptedCapture capture, int disk) : IBlockDevice
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
