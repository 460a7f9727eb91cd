using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;

namespace Understudy.Protection.Ports;

/// <summary>
/// What keeps the hypervisor from starting a VM that is not this side's to run, also while the agent is dead
/// (docs/protocols/ownership.md). Both calls are durable when they return and can be repeated.
/// </summary>
public interface IStartGuard
{
    /// <summary>From now on starts are allowed or refused as this record says.</summary>
    ValueTask PublishAsync(OwnershipRecord record, CancellationToken cancellationToken);

    /// <summary>The VM is nobody's concern any more. No error when it was not guarded.</summary>
    ValueTask RemoveAsync(VmId vm, CancellationToken cancellationToken);
}
