using Understudy.Blocks.Identity;
using Understudy.Journal;

namespace Understudy.Protection.Target.Hosting;

/// <summary>Pins by their owner: a pin's reason begins with the id of the run it belongs to, so that a run finds its pin
/// again after a restart, and a pin whose run is gone is seen.</summary>
internal sealed class PointPins(ReplicaSlot slot)
{
    public async ValueTask AddAsync(Guid owner, RecoveryPointId point, string what, CancellationToken cancellationToken)
    {
        string reason = $"{owner:N} {what}";
        Replica replica = slot.Replica;
        if (replica.Status.Pins.All(pin => pin.Reason != reason))
        {
            await replica.AddPinAsync(point, reason, cancellationToken);
        }
    }

    /// <summary>No error when it has none, or when the replica has been closed with all its pins.</summary>
    public async ValueTask RemoveAsync(Guid owner, CancellationToken cancellationToken)
    {
        if (slot.TryGet() is not { } replica)
        {
            return;
        }

        foreach (PinStatus pin in replica.Status.Pins)
        {
            if (pin.Reason.StartsWith($"{owner:N} ", StringComparison.Ordinal))
            {
                await replica.RemovePinAsync(pin.Id, cancellationToken);
            }
        }
    }

    /// <summary>Removes pins that belong to none of these owners: left by an export that a killed agent was making.</summary>
    public async ValueTask RemoveOthersAsync(IReadOnlyCollection<Guid> owners, CancellationToken cancellationToken)
    {
        if (slot.TryGet() is not { } replica)
        {
            return;
        }

        foreach (PinStatus pin in replica.Status.Pins)
        {
            if (!owners.Any(owner => pin.Reason.StartsWith($"{owner:N} ", StringComparison.Ordinal)))
            {
                await replica.RemovePinAsync(pin.Id, cancellationToken);
            }
        }
    }
}
