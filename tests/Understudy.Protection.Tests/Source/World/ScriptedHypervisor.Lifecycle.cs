using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>Starting, stopping, and the disks of the VM that is off: while they are open it cannot be started.</summary>
internal sealed partial class ScriptedHypervisor : IVmLifecycle, IStoppedDisks
{
    public async ValueTask<VmRunState> GetRunStateAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "state");
        return vm.State;
    }

    public async ValueTask StartAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "start");
        if (!vm.MayStart())
        {
            throw new HypervisorException(HypervisorFault.Refused, "hook script execution failed");
        }

        if (vm.Open is not null)
        {
            throw new HypervisorException(HypervisorFault.Refused, "Failed to get \"write\" lock");
        }

        vm.State = VmRunState.Running;
        await vm.CallAsync(agent, "started");
    }

    public async ValueTask ResumeAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "resume");
        vm.State = VmRunState.Running;
    }

    public async ValueTask SuspendAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "suspend");
        vm.State = VmRunState.Paused;
    }

    /// <summary>A guest that shuts down takes the capture under way with it, and leaves its tracking in its images.</summary>
    public async ValueTask RequestShutdownAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "shutdown");
        if (--vm.ShutdownRequests <= 0)
        {
            vm.State = VmRunState.Off;
            vm.Open = null;
        }
    }

    public async ValueTask DestroyAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "destroy");
        vm.State = vm.State == VmRunState.Absent ? VmRunState.Absent : VmRunState.Off;
        vm.Open = null;
    }

    public ValueTask SetLinksAsync(VmId id, bool up, CancellationToken cancellationToken) => default;

    public async ValueTask<ICapture> OpenAsync(StoppedDisksRequest request, CancellationToken cancellationToken)
    {
        vm.Requests.Add($"stopped {request.Since ?? "-"}");
        await vm.CallAsync(agent, "open");
        if (vm.State != VmRunState.Off || vm.Open is not null)
        {
            throw new HypervisorException(HypervisorFault.Busy, "Failed to get shared \"write\" lock");
        }

        vm.Open = new ScriptedCapture(vm, agent, request);
        await vm.CallAsync(agent, "opened");
        return vm.Open ?? throw new HypervisorException(HypervisorFault.Busy, "the disks were closed");
    }

    public async ValueTask CloseStaleAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "close");
        if (vm.State == VmRunState.Off)
        {
            vm.Open = null;
        }
    }

    public ValueTask<VmId> DefineAsync(string domainXml, CancellationToken cancellationToken) => throw new NotSupportedException();

    public async ValueTask UndefineAsync(VmId id, CancellationToken cancellationToken)
    {
        await vm.CallAsync(agent, "undefine");
        vm.State = VmRunState.Absent;
    }

    public ValueTask<string> MonitorCommandAsync(VmId id, string qmpJson, CancellationToken cancellationToken) => throw new NotSupportedException();
}
