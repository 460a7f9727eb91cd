using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>What the hypervisor's hook goes by; it outlives the agent.</summary>
internal sealed class ModelGuard(ModelHost host) : IStartGuard
{
    public ValueTask PublishAsync(OwnershipRecord record, CancellationToken cancellationToken)
    {
        host.Guarded[record.Vm] = record;
        return default;
    }

    public ValueTask RemoveAsync(VmId vm, CancellationToken cancellationToken)
    {
        host.Guarded.Remove(vm);
        return default;
    }
}
