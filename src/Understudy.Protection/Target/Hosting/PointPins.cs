using System.Collections.Concurrent;
using Understudy.Blocks.Identity;
using Understudy.Journal;

namespace Understudy.Protection.Target.Hosting;

/// <summary>Pins by their owner: a pin's reason begins with the id of the run it belongs to, so that a run finds its pin
/// again after a restart, and a pin whose run is gone is seen.</summary>
internal sealed class PointPins(ReplicaSlot slot)
{
    /// <summary>Owners that have ended and whose pin may stand: the write that was to remove it failed, or the replica was
    /// closed. Orders and the housekeeping both come here, from any thread.</summary>
    private readonly ConcurrentDictionary<Guid, bool> _owed = [];

    /// <summary>An owner has one pin: a run that becomes a branch keeps the one it had.</summary>
    public async ValueTask AddAsync(Guid owner, RecoveryPointId point, string what, CancellationToken cancellationToken)
    {
        _owed.TryRemove(owner, out _);
        Replica replica = slot.Replica;
        if (!replica.Status.Pins.Any(pin => IsOf(pin, owner)))
        {
            await replica.AddPinAsync(point, $"{owner:N} {what}", cancellationToken);
        }
    }

    /// <summary>Who pins something, with the words it gave; each once.</summary>
    public IReadOnlyList<(Guid Owner, string What)> List() => slot.TryGet() is not { } replica
        ? []
        : [.. replica.Status.Pins.Select(Read).DistinctBy(pin => pin.Owner)];

    /// <summary>The owner has ended. No error when it has no pin, or when the replica has been closed with all its pins. When
    /// it throws, the pin goes with <see cref="RemoveOwedAsync"/>: one that stayed would hold up every later commit.</summary>
    public async ValueTask RemoveAsync(Guid owner, CancellationToken cancellationToken)
    {
        _owed[owner] = true;
        if (slot.TryGet() is not { } replica)
        {
            return;
        }

        foreach (PinStatus pin in replica.Status.Pins)
        {
            if (IsOf(pin, owner))
            {
                await replica.RemovePinAsync(pin.Id, cancellationToken);
            }
        }

        // One that has stopped may hold a pin on disk whose making it reported as failed: it is looked for again when it is open.
        if (!slot.NeedsOpening)
        {
            _owed.TryRemove(owner, out _);
        }
    }

    /// <summary>What could not be removed when its owner ended.</summary>
    public async ValueTask RemoveOwedAsync(CancellationToken cancellationToken)
    {
        foreach (Guid owner in _owed.Keys.Order())
        {
            await RemoveAsync(owner, cancellationToken);
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
            if (!owners.Any(owner => IsOf(pin, owner)))
            {
                await replica.RemovePinAsync(pin.Id, cancellationToken);
            }
        }
    }

    private static bool IsOf(PinStatus pin, Guid owner) => pin.Reason.StartsWith($"{owner:N} ", StringComparison.Ordinal);

    /// <summary>A pin that is not written so is nobody's here, and is shown as it stands.</summary>
    private static (Guid Owner, string What) Read(PinStatus pin) =>
        pin.Reason.IndexOf(' ', StringComparison.Ordinal) is > 0 and var space && Guid.TryParseExact(pin.Reason[..space], "N", out Guid owner)
            ? (owner, pin.Reason[(space + 1)..])
            : (pin.Id.Value, pin.Reason);
}
