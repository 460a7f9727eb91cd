using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Simulation.Running;

namespace Understudy.Simulation.Sites;

/// <summary>The guard of a host, with the token's checker told of every change.</summary>
internal sealed class WatchedGuard(IStartGuard inner, SitesWorld world) : IStartGuard
{
    private readonly IStartGuard _inner = inner;
    private readonly SitesWorld _world = world;

    public async ValueTask PublishAsync(OwnershipRecord record, CancellationToken cancellationToken)
    {
        _world.Owners.LookAtRecords(record.Vm);
        if (_world.Context.Plant != Plant.LeaveTheGuardOpen || record.State is OwnershipState.Here)
        {
            await _inner.PublishAsync(record, cancellationToken);
        }

        _world.Owners.LookAtRecords(record.Vm);
    }

    public ValueTask RemoveAsync(VmId vm, CancellationToken cancellationToken) => _inner.RemoveAsync(vm, cancellationToken);
}
