using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>One agent process's reading of disks of VMs that are off. What it has open outlives it, as its daemon does.</summary>
internal sealed class ModelStoppedDisks(ModelMachine machine, SimProcess agent) : IStoppedDisks
{
    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _agent = agent;

    public async ValueTask<ICapture> OpenAsync(StoppedDisksRequest request, CancellationToken cancellationToken)
    {
        await _machine.Calls.BeginAsync("opening stopped disks", _agent, cancellationToken);
        ModelDomain? domain = _machine.Find(request.Vm);
        if (domain is not { Tracked: { } vm } || domain.Qemu is not null || domain.IsHeld)
        {
            throw new HypervisorException(HypervisorFault.Busy, $"the disks of {request.Vm} are open elsewhere (simulated)");
        }

        if (request.Since is { } since && request.Disks.Any(d => d.WantsChanges) && !vm.IsTracked(since))
        {
            throw new HypervisorException(HypervisorFault.TrackingLost, $"{vm.Name}: no disk vouches for {since} (simulated)");
        }

        domain.IsHeld = true;
        (Cut cut, DateTimeOffset at) = vm.NoteStopped(_agent.Time.GetUtcNow());
        _machine.Context.Counters.Add("hypervisor: stopped disks read");
        _machine.Simulator.Trace.Event(_machine.Simulator.NowTicks, vm.Name, "read while off", request.Since ?? "", at.UtcTicks);
        var capture = new ModelCapture(
            vm, cut, new CaptureRequest(request.Vm, request.Since, "", [.. request.Disks.Select(d => new CaptureDisk(d.TargetDevice, d.WantsChanges))], long.MaxValue), at);
        await _machine.Calls.EndAsync("opening stopped disks", _agent, cancellationToken);
        return new ModelCaptureHandle(capture, _machine.Calls, _agent, () => domain.IsHeld = false);
    }

    public async ValueTask CloseStaleAsync(VmId vm, CancellationToken cancellationToken)
    {
        await _machine.Calls.BeginAsync("closing stopped disks", _agent, cancellationToken);
        if (_machine.Find(vm) is { } domain)
        {
            domain.IsHeld = false;
        }
    }
}
