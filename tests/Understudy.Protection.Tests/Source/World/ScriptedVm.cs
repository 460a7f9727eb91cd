using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Testing.Simulation;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>
/// A VM with libvirt's rules for checkpoints: only the newest records; deleting one merges it into the one before; a QEMU
/// that is killed takes the tracking with it. Disks come, go and grow. Remembers what the disks held at every cut.
/// </summary>
internal sealed class ScriptedVm
{
    private readonly Simulator _simulator;
    private readonly List<(string Name, string[] Targets, HashSet<(string Target, int Block)> Changed)> _checkpoints = [];
    private readonly Dictionary<DateTimeOffset, SortedDictionary<string, byte[]>> _cuts = [];
    private readonly List<(string Target, byte[] Content)> _disks = [];

    public ScriptedVm(Simulator simulator, IReadOnlyList<int> diskBlocks)
    {
        _simulator = simulator;
        foreach (int blocks in diskBlocks)
        {
            AddDisk($"vd{(char)('a' + _disks.Count)}", blocks);
        }
    }

    public VmId Id { get; } = new(new Guid(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9));

    public IReadOnlyList<byte[]> Disks => [.. _disks.Select(disk => disk.Content)];

    public IReadOnlyList<DiskNow> DisksNow => [.. _disks.Select(disk => new DiskNow(disk.Target, disk.Content.Length))];

    /// <summary>Blocks that hold something; allocation calls the others holes.</summary>
    public HashSet<(string Target, int Block)> Written { get; } = [];

    public VmRunState State { get; set; } = VmRunState.Running;

    public bool Autostart { get; set; }

    public bool HasSavedState { get; set; }

    /// <summary>It is off because somebody ended it.</summary>
    public bool EndedByForce { get; set; }

    /// <summary>Of disks that are not where they were at the beginning.</summary>
    public Dictionary<string, string> Paths { get; } = [];

    /// <summary>What it has beside the disks that are captured.</summary>
    public List<VmDiskFacts> OtherDisks { get; } = [];

    /// <summary>Further VMs of its host.</summary>
    public List<VmFacts> OtherVms { get; } = [];

    /// <summary>Requests it takes until the guest shuts down.</summary>
    public int ShutdownRequests { get; set; } = 1;

    public Func<bool> MayStart { get; set; } = () => true;

    public int DefinitionVersion { get; set; } = 1;

    /// <summary>Plugged into the running VM and not into its definition.</summary>
    public string? LiveOnlyDisk { get; set; }

    /// <summary>The call that takes its time now.</summary>
    public string? Calling { get; private set; }

    /// <summary>Of every call to the hypervisor.</summary>
    public TimeSpan CallTime { get; set; } = TimeSpan.FromMilliseconds(5);

    /// <summary>On which the hypervisor cannot track changes.</summary>
    public string? RawDisk { get; set; }

    public bool TrackingIsLost { get; set; }

    public ScriptedCapture? Open { get; set; }

    public List<string> Requests { get; } = [];

    /// <summary>Throws instead of the next call of that name, once.</summary>
    public Dictionary<string, Exception> FailNext { get; } = [];

    /// <summary>The disks as they are, without a new checkpoint: the VM is off.</summary>
    public (DateTimeOffset CutAt, IReadOnlyDictionary<string, byte[]> Content, HashSet<(string Target, int Block)>? Changed) Look(
        StoppedDisksRequest request, DateTimeOffset now)
    {
        int since = _checkpoints.FindIndex(checkpoint => checkpoint.Name == request.Since);
        if (request.Since is not null && (TrackingIsLost || since < 0
            || request.Disks.Any(disk => disk.WantsChanges && !_checkpoints[since].Targets.Contains(disk.TargetDevice))))
        {
            throw new HypervisorException(HypervisorFault.TrackingLost, $"{request.Since} is missing or inconsistent");
        }

        return Remember(since < 0 ? null : since, now);
    }

    public IReadOnlyList<string> CheckpointNames => [.. _checkpoints.Select(checkpoint => checkpoint.Name)];

    public string Definition =>
        $"<domain><name>app</name><description>{DefinitionVersion}</description><devices>"
        + string.Concat(_disks.Where(disk => disk.Target != LiveOnlyDisk).Select(disk => $"<disk><target dev='{disk.Target}'/></disk>"))
        + "</devices></domain>";

    /// <summary>By target device.</summary>
    public IReadOnlyDictionary<string, byte[]> ContentAt(DateTimeOffset cutAt) => _cuts[cutAt];

    public int Cuts => _cuts.Count;

    public void Write(int disk, int block, ReadOnlySpan<byte> content)
    {
        content.CopyTo(_disks[disk].Content.AsSpan(block * BlockSize.Bytes));
        Written.Add((_disks[disk].Target, block));
        Touch(disk, block);
    }

    public void Discard(int disk, int block)
    {
        int start = block * BlockSize.Bytes;
        _disks[disk].Content.AsSpan(start, Math.Min(BlockSize.Bytes, _disks[disk].Content.Length - start)).Clear();
        Written.Remove((_disks[disk].Target, block));
        Touch(disk, block);
    }

    /// <summary>Empty, its last block short.</summary>
    public void AddDisk(string target, int blocks) => _disks.Add((target, new byte[(blocks * BlockSize.Bytes) - 512]));

    public void RemoveDisk(string target)
    {
        _disks.RemoveAll(disk => disk.Target == target);
        Written.RemoveWhere(block => block.Target == target);
    }

    public void GrowDisk(string target, int blocks)
    {
        int at = _disks.FindIndex(disk => disk.Target == target);
        byte[] larger = new byte[(blocks * BlockSize.Bytes) - 512];
        _disks[at].Content.CopyTo(larger, 0);
        _disks[at] = (target, larger);
    }

    /// <summary>QEMU is killed and started again: checkpoints stay listed, their bitmaps are gone.</summary>
    public void CrashQemu()
    {
        TrackingIsLost = _checkpoints.Count > 0;
        Open = null;
    }

    public (DateTimeOffset CutAt, IReadOnlyDictionary<string, byte[]> Content, HashSet<(string Target, int Block)>? Changed) Cut(
        CaptureRequest request, DateTimeOffset now)
    {
        int since = _checkpoints.FindIndex(checkpoint => checkpoint.Name == request.Since);
        if (request.Since is not null && (TrackingIsLost || since < 0
            || request.Disks.Any(disk => disk.WantsChanges && !_checkpoints[since].Targets.Contains(disk.TargetDevice))))
        {
            throw new HypervisorException(HypervisorFault.TrackingLost, $"{request.Since} is missing or inconsistent");
        }

        if (_checkpoints.Exists(checkpoint => checkpoint.Name == request.NewCheckpoint))
        {
            throw new HypervisorException(HypervisorFault.Refused, $"{request.NewCheckpoint} exists");
        }

        if (request.TargetDevices.FirstOrDefault(target => !_disks.Exists(disk => disk.Target == target)) is { } missing)
        {
            throw new HypervisorException(HypervisorFault.Refused, $"there is no disk {missing}");
        }

        (DateTimeOffset cutAt, IReadOnlyDictionary<string, byte[]> content, HashSet<(string, int)>? changed) = Remember(since < 0 ? null : since, now);
        _checkpoints.Add((request.NewCheckpoint, [.. request.TargetDevices], []));
        return (cutAt, content, changed);
    }

    private (DateTimeOffset CutAt, IReadOnlyDictionary<string, byte[]> Content, HashSet<(string Target, int Block)>? Changed) Remember(int? since, DateTimeOffset now)
    {
        DateTimeOffset cutAt = new(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);
        while (_cuts.ContainsKey(cutAt))
        {
            cutAt = cutAt.AddMicroseconds(1);
        }

        HashSet<(string, int)>? changed = since is not { } first ? null : [.. _checkpoints.Skip(first).SelectMany(checkpoint => checkpoint.Changed)];
        SortedDictionary<string, byte[]> content = [];
        foreach ((string target, byte[] disk) in _disks)
        {
            content.Add(target, (byte[])disk.Clone());
        }

        _cuts.Add(cutAt, content);
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
        Calling = name;
        await agent.TakeTimeAsync(CallTime);
        Calling = null;
        if (FailNext.Remove(name, out Exception? fault))
        {
            throw fault;
        }
    }

    private void Touch(int disk, int block)
    {
        if (_checkpoints.Count > 0)
        {
            _checkpoints[^1].Changed.Add((_disks[disk].Target, block));
        }

        _simulator.Trace.Event(_simulator.NowTicks, "guest", "writes", "", disk, block);
    }
}

/// <summary>One agent process's connection to the hypervisor of a <see cref="ScriptedVm"/>.</summary>
internal sealed partial class ScriptedHypervisor(ScriptedVm vm, SimProcess agent) : IVmInventory, IVmCapture
{
    public ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public async ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken) =>
        [.. vm.OtherVms, .. await FindVmAsync(vm.Id, cancellationToken) is { } facts ? [facts] : (VmFacts[])[]];

    public async ValueTask<VmFacts?> FindVmAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "find");
        return vm.State == VmRunState.Absent
            ? null
            : new VmFacts(id, "app", vm.State, 1, 1L << 30, "bios", "pc", true, false, false, [.. vm.DisksNow.Select(Facts), .. vm.OtherDisks], [], vm.Autostart, HasSavedState: vm.HasSavedState, EndedByForce: vm.EndedByForce && vm.State == VmRunState.Off);
    }

    private VmDiskFacts Facts(DiskNow disk) =>
        new(disk.TargetDevice, "virtio", "disk", disk.TargetDevice == vm.RawDisk ? "raw" : "qcow2", "file", vm.Paths.GetValueOrDefault(disk.TargetDevice, $"/{disk.TargetDevice}.qcow2"), disk.SizeBytes, false, false);

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
        cancellationToken.ThrowIfCancellationRequested();
        vm.DeleteCheckpoint(name);
        await vm.CallAsync(agent, "deleted");
    }

    public async ValueTask ClearStaleCaptureAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "clear");
        vm.Open = null;
    }
}
