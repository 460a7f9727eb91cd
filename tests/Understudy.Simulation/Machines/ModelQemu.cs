using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>
/// The QEMU of one run of a VM: a process of its own that the agent's death does not touch. A disk that cannot be read
/// pauses it (error policy "stop"); what waited is tried again after a resume.
/// </summary>
internal sealed partial class ModelQemu
{
    private readonly ModelMachine _machine;
    private readonly ModelDomain _domain;
    private readonly TaskCompletionSource<HypervisorException?> _started = new();
    private TaskCompletionSource? _resumed;
    private bool _endsInOrder;

    public ModelQemu(ModelMachine machine, ModelDomain domain)
    {
        _machine = machine;
        _domain = domain;
        LiveXml = domain.Inactive;
        Disks = domain.Tracked is null ? [.. DomainXml.Disks(LiveXml).Select(d => new QemuDisk(d.Target, machine.Image(d.Path), new ImageChain(machine, machine.Simulator.Root)))] : [];
    }

    public SimProcess? Process { get; private set; }

    public VmRunState State { get; private set; } = VmRunState.Paused;

    public bool HasStarted { get; private set; }

    public string LiveXml { get; private set; }

    /// <summary>Empty for a VM with images of its own.</summary>
    public List<QemuDisk> Disks { get; }

    public Task<HypervisorException?> StartAsync()
    {
        Process = _machine.Host.Start($"qemu-{_domain.Name}", RunAsync);
        Process.AtEnd(_ =>
        {
            _domain.Ended(this, _endsInOrder);
            MarkBitmaps();
            _started.TrySetResult(new HypervisorException(HypervisorFault.Other, $"QEMU of {_domain.Name} ended while it started (simulated)"));
        });
        return _started.Task;
    }

    /// <summary>Its network cables are in.</summary>
    public bool IsLinked { get; private set; } = true;

    public void SetLinks(bool up)
    {
        IsLinked = up;
        _domain.Changed();
    }

    public void Suspend()
    {
        if (State is VmRunState.Running or VmRunState.ShuttingDown)
        {
            SetState(VmRunState.Paused);
        }
    }

    public void Resume()
    {
        if (State is VmRunState.Paused or VmRunState.PausedIoError && HasStarted)
        {
            SetState(_domain.Guest.IsStopping ? VmRunState.ShuttingDown : VmRunState.Running);
        }
    }

    /// <summary>The guest is asked to power off; it does when it has ended what it is at.</summary>
    public void RequestShutdown()
    {
        _domain.Guest.IsStopping = true;
        if (State == VmRunState.Running)
        {
            SetState(VmRunState.ShuttingDown);
        }
    }

    /// <summary>Ends at once, but as QEMU ends: what it tracked is written.</summary>
    public void Destroy()
    {
        _endsInOrder = true;
        Process?.Kill();
    }

    /// <summary>Whether it has this image open (for writing).</summary>
    public bool Holds(string path, bool forWriting) => Disks.Any(disk => disk.Active.Path == path || (!forWriting && IsBelow(disk.Active, path)));

    private bool IsBelow(ModelImage image, string path) =>
        image.Backing is ImageBacking.File file && (file.Path == path || (_machine.Images.TryGetValue(file.Path, out ModelImage? below) && IsBelow(below, path)));

    private async Task RunAsync(SimProcess self)
    {
        try
        {
            await OpenDisksAsync(self);
        }
        catch (StorageException refused)
        {
            _endsInOrder = true;
            _started.TrySetResult(new HypervisorException(HypervisorFault.Refused, $"{_domain.Name} did not start: {refused.Message}"));
            return;
        }

        HasStarted = true;
        if (_domain.Tracked is { } vm)
        {
            vm.IsRunning = true;
        }

        SetState(VmRunState.Running);
        _started.TrySetResult(null);
        if (_machine.ReadsAllAtBoot())
        {
            await ReadAllAsync();
        }

        await _domain.Guest.RunAsync(self);
        await RunningAsync();
        _endsInOrder = true;
    }

    /// <summary>Returns while the guest may do something.</summary>
    private async ValueTask RunningAsync()
    {
        while (State is not (VmRunState.Running or VmRunState.ShuttingDown))
        {
            await (_resumed ??= new TaskCompletionSource()).Task;
        }
    }

    private void SetState(VmRunState state)
    {
        State = state;
        _machine.Trace(state.ToString(), _domain.Name);
        if (state is VmRunState.Running or VmRunState.ShuttingDown)
        {
            TaskCompletionSource? waiting = _resumed;
            _resumed = null;
            waiting?.TrySetResult();
        }

        _domain.Changed();
    }

    private void MarkBitmaps()
    {
        foreach (QemuDisk disk in Disks)
        {
            foreach (string bitmap in _endsInOrder ? [] : disk.Active.Bitmaps.Keys.ToArray())
            {
                disk.Active.Bitmaps[bitmap] = false;
            }
        }
    }
}

/// <summary>A disk of a running VM: the image it writes, and the way to the layers below it.</summary>
internal sealed class QemuDisk(string target, ModelImage active, ImageChain chain)
{
    public string Target { get; } = target;

    public ModelImage Active { get; set; } = active;

    public ImageChain Chain { get; set; } = chain;

    public ModelJob? Job { get; set; }

    /// <summary>Set for one that was plugged in while the VM ran: an error of it is the guest's to handle.</summary>
    public string? Alias { get; init; }
}

internal sealed record ModelJob(BlockJobKind Kind, string Destination, int Looks);
