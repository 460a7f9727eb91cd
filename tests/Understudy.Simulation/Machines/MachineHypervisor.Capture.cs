using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;

namespace Understudy.Simulation.Machines;

/// <summary>Change tracking, cuts and block jobs.</summary>
internal sealed partial class MachineHypervisor
{
    public async ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("listing checkpoints", cancellationToken);
        ModelDomain domain = Find(vm);
        return [.. domain.Tracked?.CheckpointNames ?? domain.Checkpoints];
    }

    public async ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken)
    {
        await BeginAsync("beginning a capture", cancellationToken);
        ModelDomain domain = Find(request.Vm);
        ModelVm vm = domain.Tracked ?? throw Refused($"{domain.Name} has no images of its own");
        if (!vm.IsRunning)
        {
            throw new HypervisorException(HypervisorFault.NotRunning, $"{vm.Name} is not running (simulated)");
        }

        if (vm.Capture is not null || vm.HasCheckpoint(request.NewCheckpoint))
        {
            throw new HypervisorException(HypervisorFault.Busy, $"{vm.Name} has a capture already (simulated)");
        }

        if (request.TargetDevices.FirstOrDefault(target => !IsPlugged(vm, target)) is { } missing)
        {
            throw Refused($"{vm.Name} has no disk {missing}");
        }

        if (request.Since is { } since && !vm.IsTracked(since))
        {
            throw new HypervisorException(HypervisorFault.TrackingLost, $"{vm.Name}: checkpoint {since} is missing or inconsistent (simulated)");
        }

        (Cut cut, DateTimeOffset at) = vm.MakeCut(request.NewCheckpoint, _agent.Time.GetUtcNow());
        _machine.Context.Counters.Add("hypervisor: cuts");
        var capture = new ModelCapture(vm, cut, request, at);
        vm.Capture = capture;
        _machine.Simulator.Trace.Event(_machine.Simulator.NowTicks, vm.Name, "cut", request.NewCheckpoint, at.UtcTicks);
        await EndAsync("beginning a capture", cancellationToken);
        return new ModelCaptureHandle(capture, _machine.Calls, _agent);
    }

    public async ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken)
    {
        await BeginAsync("deleting a checkpoint", cancellationToken);
        ModelDomain domain = Find(vm);
        if (domain.Tracked is not { } tracked)
        {
            domain.Checkpoints.Remove(name);
            foreach ((_, string path) in DomainXml.Disks(domain.Inactive))
            {
                _machine.Images.GetValueOrDefault(path)?.Bitmaps.Remove(name);
            }
        }
        else if (tracked.Capture is { } capture && (capture.Request.Since == name || capture.Request.NewCheckpoint == name))
        {
            throw new HypervisorException(HypervisorFault.Busy, $"checkpoint {name} is in use (simulated)");
        }
        else
        {
            tracked.DeleteCheckpoint(name);
        }

        await EndAsync("deleting a checkpoint", cancellationToken);
    }

    public async ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("clearing a capture", cancellationToken);
        if (Find(vm).Tracked is { } tracked)
        {
            tracked.Capture?.Stop();
            tracked.Capture = null;
        }
    }

    public ValueTask StartShallowCopyAsync(VmId vm, string targetDevice, string destinationPath, string format, CancellationToken cancellationToken) =>
        ChangeAsync("starting a copy", vm, qemu => qemu.BeginCopy(targetDevice, destinationPath), cancellationToken);

    public ValueTask StartActiveCommitAsync(VmId vm, string targetDevice, CancellationToken cancellationToken) =>
        ChangeAsync("starting a commit", vm, qemu => qemu.BeginCommit(targetDevice), cancellationToken);

    public async ValueTask<BlockJobFacts?> GetBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken)
    {
        await BeginAsync("looking at a job", cancellationToken);
        return Running(vm).Look(targetDevice);
    }

    public ValueTask PivotAsync(VmId vm, string targetDevice, CancellationToken cancellationToken) =>
        ChangeAsync("a pivot", vm, qemu => qemu.Pivot(targetDevice), cancellationToken);

    public ValueTask AbortBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken) =>
        ChangeAsync("ending a job", vm, qemu => qemu.Abort(targetDevice), cancellationToken);

    public ValueTask RedefineCheckpointAsync(VmId vm, string name, IReadOnlyList<string> targetDevices, CancellationToken cancellationToken) =>
        ChangeAsync("redefining a checkpoint", vm, qemu =>
        {
            if (!targetDevices.All(target => qemu.Disk(target).Active.Bitmaps.GetValueOrDefault(name)))
            {
                throw Refused($"missing or broken bitmap {name}");
            }

            Find(vm).Checkpoints.Add(name);
        }, cancellationToken);

    public async ValueTask<IReadOnlyList<NetworkFacts>> ListNetworksAsync(CancellationToken cancellationToken)
    {
        await BeginAsync("listing networks", cancellationToken);
        return Networks();
    }

    public async ValueTask CreateNetworkAsync(string networkXml, CancellationToken cancellationToken)
    {
        await BeginAsync("making a network", cancellationToken);
        System.Xml.Linq.XElement network = System.Xml.Linq.XElement.Parse(networkXml);
        if (!_machine.Networks.TryAdd(network.Element("name")?.Value ?? "", (string?)network.Element("bridge")?.Attribute("name") ?? ""))
        {
            throw Refused("network already exists");
        }

        await EndAsync("making a network", cancellationToken);
    }

    public async ValueTask DestroyNetworkAsync(string name, CancellationToken cancellationToken)
    {
        await BeginAsync("removing a network", cancellationToken);
        _machine.Networks.Remove(name);
        await EndAsync("removing a network", cancellationToken);
    }

    private static bool IsPlugged(ModelVm vm, string target) => vm.Targets.IndexOf(target) is >= 0 and var disk && vm.IsPlugged(disk);

    private NetworkFacts[] Networks() => [.. _machine.Networks.Select(n => new NetworkFacts(n.Key, true, true, n.Value))];
}
