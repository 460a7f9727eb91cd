using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Agent.Guard;

/// <summary>
/// Has libvirt ask the start guard, without a VM of anybody: a paused VM with no disks, which the guard is told to refuse. When
/// libvirt asks, it never starts; when libvirt does not, it starts and is ended at once, and that is known.
/// </summary>
internal sealed class GuardTrial(IStartGuard guard, IStartTrial hypervisor, TimeProvider time)
{
    private const string Name = "understudy-guard-trial";

    private static readonly VmId _vm = new(Guid.Parse("7b1a0e7e-9d5b-4f0e-8a7c-5d0f7a11e6d1"));

    /// <summary>What libvirt did; whether the guard was asked is the guard's own to say, by its note of the caller.</summary>
    public async Task<StartTrialOutcome> RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await guard.PublishAsync(ToRefuse(), cancellationToken);
            try
            {
                return await hypervisor.TryStartAsync(_vm, Name, cancellationToken);
            }
            finally
            {
                await guard.RemoveAsync(_vm, CancellationToken.None);
            }
        }
        catch (UnderstudyException fault)
        {
            return new StartTrialOutcome.Refused(fault.Message); // Not by the guard: it knows of no caller.
        }
    }

    private OwnershipRecord ToRefuse() => OwnershipRules.Begin(
        _vm,
        Name,
        new ReplicaId(_vm.Value),
        Guid.Empty,
        new LineId(0, 0),
        [],
        new OwnershipState.Here("", new Fence("a trial of the start guard, which refuses it", time.GetUtcNow())),
        time.GetUtcNow());
}
