using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>A VM of a host: its definition, what of its tracking the hypervisor knows, and its QEMU while it runs.</summary>
internal sealed class ModelDomain : IGuestDisks
{
    /// <summary>A seed does not become longer by them.</summary>
    private const int MostDisks = 4;

    private readonly ModelMachine _machine;
    private string _inactive;

    public ModelDomain(ModelMachine machine, VmId id, string name, string inactive, ModelVm? tracked, SimRandom random)
    {
        _machine = machine;
        _inactive = inactive;
        Id = id;
        Name = name;
        Tracked = tracked;
        Guest = new ModelGuest(this, random.Fork(1), run: random.NextULong()) { Reads = tracked is null };
    }

    public VmId Id { get; }

    public string Name { get; }

    /// <summary>A VM with images, tracking and captures of its own; null for one on overlays.</summary>
    public ModelVm? Tracked { get; }

    /// <summary>What the next start uses.</summary>
    public string Inactive
    {
        get => Tracked?.DefinitionXml ?? _inactive;
        set => _inactive = value;
    }

    /// <summary>Null when it is off.</summary>
    public ModelQemu? Qemu { get; private set; }

    public ModelGuest Guest { get; }

    /// <summary>Checkpoints that the hypervisor knows, of a VM on overlays.</summary>
    public List<string> Checkpoints { get; } = [];

    /// <summary>The last run ended by a fault of its QEMU.</summary>
    public bool HasCrashed { get; private set; }

    /// <summary>The hypervisor starts it with the host.</summary>
    public bool Autostart { get; set; }

    /// <summary>Something of ours has its images open although it is off: it cannot be started meanwhile.</summary>
    public bool IsHeld { get; set; }

    /// <summary>How often the guest will not hear that it shall power off.</summary>
    public int IgnoredShutdowns { get; set; }

    public VmRunState State => Qemu?.State ?? (HasCrashed ? VmRunState.Crashed : VmRunState.Off);

    /// <summary>Its guest does things.</summary>
    public bool IsActive => State is VmRunState.Running or VmRunState.ShuttingDown;

    /// <summary>It runs on that image, or the next start would.</summary>
    public bool Stands(string image) => DomainXml.Disks(Inactive).Any(disk => disk.Path == image) || Qemu?.Disks.Exists(disk => disk.Active.Path == image) == true;

    public string VmName => Name;

    public int Count => Tracked?.Disks.Count ?? Running.Disks.Count;

    private ModelQemu Running => Qemu ?? throw new InvalidOperationException($"{Name} is off and does I/O");

    public long SizeOf(int disk) => Tracked?.Disks[disk].SizeBytes ?? Running.Disks[disk].Active.SizeBytes;

    public ValueTask ReadAsync(int disk, long offset, Memory<byte> buffer) => Running.ReadAsync(disk, offset, buffer);

    public ValueTask WriteAsync(int disk, long offset, ReadOnlyMemory<byte> data) => Running.WriteAsync(disk, offset, data);

    public ValueTask DiscardAsync(int disk, int block) => Running.DiscardAsync(disk, block);

    /// <summary>Ends with the VM running, or says why it does not.</summary>
    public async Task<HypervisorException?> StartAsync()
    {
        if (Qemu is not null)
        {
            return new HypervisorException(HypervisorFault.Refused, $"domain {Name} is running already (simulated)");
        }

        if (IsHeld)
        {
            return new HypervisorException(HypervisorFault.Refused, $"{Name}: Failed to get \"write\" lock (simulated)");
        }

        if (_machine.StartHook.Judge(this) is { } denied)
        {
            return new HypervisorException(HypervisorFault.Refused, $"{Name}: the start hook said no: {denied} (simulated)");
        }

        var qemu = new ModelQemu(_machine, this);
        Qemu = qemu;
        HasCrashed = false;
        Guest.IsStopping = false;
        return await qemu.StartAsync();
    }

    /// <summary>Somebody adds a disk, takes one away for good, or makes one larger; the first one stays. Not while it is read for a point:
    /// QEMU refuses that then.</summary>
    public bool TryChangeDisks(SimRandom random)
    {
        if (Tracked is not { IsRunning: true, Capture: null } vm)
        {
            return false;
        }

        int last = vm.Disks.Count - 1;
        switch (random.Next(3))
        {
            case 0 when last < MostDisks - 1:
                long size = random.Between(2, 6) * (long)BlockSize.Bytes;
                string added = DomainXml.SourceImage(Name, last + 1);
                _machine.Images[added] = new ModelImage(added, "qcow2", size, null);
                vm.Plug(size);
                break;
            case 1 when last > 0 && vm.IsPlugged(last):
                _machine.Images.Remove(DomainXml.SourceImage(Name, last));
                vm.Unplug(last);
                break;
            case 2 when vm.IsPlugged(last):
                long grown = vm.Disks[last].SizeBytes + (random.Between(1, 4) * (long)BlockSize.Bytes);
                _machine.Image(DomainXml.SourceImage(Name, last)).Grow(grown);
                vm.Grow(last, grown);
                break;
            default:
                return false;
        }

        _machine.Trace("disks changed", Name);
        return true;
    }

    /// <summary>Some guests ignore the first times that they are asked.</summary>
    public void HearShutdown(ModelQemu qemu)
    {
        if (IgnoredShutdowns > 0)
        {
            IgnoredShutdowns--;
            return;
        }

        qemu.RequestShutdown();
    }

    public void Changed() => _machine.OnRunStateChanged(this);

    /// <summary>Its QEMU is gone.</summary>
    public void Ended(ModelQemu qemu, bool clean)
    {
        if (Qemu != qemu)
        {
            return;
        }

        Qemu = null;
        HasCrashed = !clean && qemu.HasStarted && _machine.Host.IsUp;
        if (Tracked is { } vm && qemu.HasStarted)
        {
            vm.End(clean);
        }

        Changed();
    }
}
