using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>A host's hypervisor with its VMs; agents talk to it through a <see cref="ModelHypervisorClient"/>.</summary>
internal sealed class ModelHypervisor(SimHost host, SimRandom random)
{
    public SimHost Host { get; } = host;

    public List<ModelVm> Vms { get; } = [];

    public CallBehaviour Calls { get; } = new(random);

    public long Cuts { get; set; }
}

/// <summary>One agent process's connection to the model hypervisor.</summary>
internal sealed class ModelHypervisorClient(ModelHypervisor hypervisor, SimProcess agent) : IVmInventory, IVmCapture
{
    private readonly ModelHypervisor _hypervisor = hypervisor;
    private readonly SimProcess _agent = agent;

    public async ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken)
    {
        await BeginAsync("facts of the host", cancellationToken);
        return new HostFacts(_hypervisor.Host.Name, "model 1", "model 1", true, 1L << 34, 1L << 33, 8, ["pc-q35-9.2"], []);
    }

    public async ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken)
    {
        await BeginAsync("listing VMs", cancellationToken);
        return [.. _hypervisor.Vms.Select(Facts)];
    }

    public async ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("finding a VM", cancellationToken);
        return _hypervisor.Vms.Find(v => v.Id == vm) is { } found ? Facts(found) : null;
    }

    public async ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken)
    {
        await BeginAsync("reading a definition", cancellationToken);
        return Find(vm).DefinitionXml;
    }

    public async ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("listing checkpoints", cancellationToken);
        return [.. Find(vm).CheckpointNames];
    }

    public async ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken)
    {
        await BeginAsync("beginning a capture", cancellationToken);
        ModelVm vm = Find(request.Vm);
        if (!vm.IsRunning)
        {
            throw new HypervisorException(HypervisorFault.NotRunning, $"{vm.Name} is not running (simulated)");
        }

        if (vm.Capture is not null || vm.HasCheckpoint(request.NewCheckpoint))
        {
            throw new HypervisorException(HypervisorFault.Busy, $"{vm.Name} has a capture already (simulated)");
        }

        if (request.Since is { } since && !vm.IsTracked(since))
        {
            throw new HypervisorException(HypervisorFault.TrackingLost, $"{vm.Name}: checkpoint {since} is missing or inconsistent (simulated)");
        }

        (Cut cut, DateTimeOffset at) = vm.MakeCut(request.NewCheckpoint, _agent.Time.GetUtcNow());
        _hypervisor.Cuts++;
        var capture = new ModelCapture(vm, cut, request, at);
        vm.Capture = capture;
        Simulator simulator = _agent.Simulator;
        simulator.Trace.Event(simulator.NowTicks, vm.Name, "cut", request.NewCheckpoint, at.UtcTicks);
        await EndAsync("beginning a capture", cancellationToken);
        return new ModelCaptureHandle(capture, _hypervisor.Calls, _agent);
    }

    public async ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken)
    {
        await BeginAsync("deleting a checkpoint", cancellationToken);
        ModelVm found = Find(vm);
        if (found.Capture is { } capture && (capture.Request.Since == name || capture.Request.NewCheckpoint == name))
        {
            throw new HypervisorException(HypervisorFault.Busy, $"checkpoint {name} is in use (simulated)");
        }

        found.DeleteCheckpoint(name);
        await EndAsync("deleting a checkpoint", cancellationToken);
    }

    public async ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("clearing a capture", cancellationToken);
        ModelVm found = Find(vm);
        found.Capture?.Stop();
        found.Capture = null;
    }

    private static VmFacts Facts(ModelVm vm) => new(
        vm.Id,
        vm.Name,
        vm.IsRunning ? VmRunState.Running : VmRunState.Off,
        1,
        1L << 30,
        "bios",
        "pc-q35-9.2",
        Persistent: true,
        HasGuestAgentChannel: false,
        HasSnapshots: false,
        [.. vm.Disks.Select((d, i) => new VmDiskFacts(vm.Targets[i], "virtio", "disk", "qcow2", "file", $"/images/{vm.Name}-{i}.qcow2", d.SizeBytes, false, false))],
        []);

    private ValueTask BeginAsync(string what, CancellationToken cancellationToken) => _hypervisor.Calls.BeginAsync(what, _agent, cancellationToken);

    private ValueTask EndAsync(string what, CancellationToken cancellationToken) => _hypervisor.Calls.EndAsync(what, _agent, cancellationToken);

    private ModelVm Find(VmId vm) =>
        _hypervisor.Vms.Find(v => v.Id == vm) ?? throw new HypervisorException(HypervisorFault.NoSuchVm, $"no VM {vm}");
}
