using System.Diagnostics;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ownership;

/// <summary>What a message does to a record.</summary>
public abstract record OwnershipOutcome
{
    private OwnershipOutcome()
    {
    }

    public sealed record Changed(OwnershipRecord Next) : OwnershipOutcome;

    /// <summary>It is so already, or the message is older than what is known: nothing to do.</summary>
    public sealed record Unchanged : OwnershipOutcome;

    public sealed record Refused(RefusalCode Code, string What, string Remedy) : OwnershipOutcome;
}

/// <summary>
/// The hand-over of a VM, as pure functions of one side's record (docs/protocols/ownership.md has the same as a picture).
/// Invariants: from <see cref="OwnershipState.Offered"/> only the receiver's word, a newer line or a human leads away;
/// no line is ever replaced by an older one; what was refused is never accepted and what was accepted never refused.
/// </summary>
public static class OwnershipRules
{
    /// <summary>Refusals kept for one line. Each is one planned failover that came to nothing; after so many, a human decides.</summary>
    public const int MostRefused = 256;

    private static readonly OwnershipOutcome.Unchanged _same = new();

    public static OwnershipRecord Begin(
        VmId vm, string vmName, ReplicaId replica, Guid peer, LineId line, IReadOnlyList<string> disks, OwnershipState state, DateTimeOffset now) =>
        new(vm, vmName, replica, peer, line, null, state, now, disks, null, []);

    /// <param name="boot">This host's present boot.</param>
    public static OwnershipOutcome Apply(OwnershipRecord record, OwnershipMessage message, string boot) => message switch
    {
        OwnershipMessage.Offer offer => Offer(record, offer),
        OwnershipMessage.Accept accept => Accept(record, accept, boot),
        OwnershipMessage.Refuse refuse => Refuse(record, refuse),
        OwnershipMessage.HandedOver handed => HandedOver(record, handed),
        OwnershipMessage.TakeBack back => TakeBack(record, back, boot),
        OwnershipMessage.Learn learn => Learn(record, learn),
        OwnershipMessage.Claim claim => Claim(record, claim, boot),
        OwnershipMessage.Renew renew => Renew(record, renew, boot),
        OwnershipMessage.Close close => Close(record, close),
        OwnershipMessage.Reopen => Reopen(record),
        OwnershipMessage.Validate => Validate(record, boot),
        _ => throw new UnreachableException(),
    };

    private static OwnershipOutcome Offer(OwnershipRecord record, OwnershipMessage.Offer offer) => record.State switch
    {
        OwnershipState.Offered offered when offered.Transfer == offer.Transfer => _same,
        OwnershipState.Offered offered => InTransit(record, offered),
        OwnershipState.Elsewhere => NotOwner(record),
        OwnershipState.Here when offer.Minted is { } line && !line.IsNewerThan(record.Line) => Outdated(record, line),
        OwnershipState.Here when offer.Minted is null && offer.Parent.Line != record.Line => Outdated(record, offer.Parent.Line),
        OwnershipState.Here { Fence: null } when offer.Minted is null => new OwnershipOutcome.Refused(
            RefusalCode.NotFenced, $"{record.VmName} is not fenced.", "Fence it before it is handed over: otherwise anything may start it again."),
        OwnershipState.Here => With(
            record, new OwnershipState.Offered(offer.Transfer, offer.To, offer.Parent), offer.Minted ?? record.Line, offer.Minted is null ? record.Parent : offer.Parent),
        _ => throw new UnreachableException(),
    };

    private static OwnershipOutcome Accept(OwnershipRecord record, OwnershipMessage.Accept accept, string boot)
    {
        if (record.Accepted == accept.Transfer)
        {
            return record.State is OwnershipState.Here ? _same : Outdated(record, accept.Line);
        }

        if (record.Refused.Contains(accept.Transfer))
        {
            return new OwnershipOutcome.Refused(
                RefusalCode.TransferRefused, $"Transfer {accept.Transfer} of {record.VmName} was refused here.", "Begin the failover again.");
        }

        if (!accept.Line.IsNewerThan(record.Line) || (accept.Succeeds is { } succeeded && succeeded != record.Line))
        {
            return Outdated(record, accept.Line);
        }

        return (accept.Succeeds, record.State) switch
        {
            // Two offers of one line: the other one was accepted, or this side is its giver.
            (not null, OwnershipState.Here) => new OwnershipOutcome.Refused(
                RefusalCode.AlreadyFailedOver, $"{record.VmName} is owned here already, by line {record.Line}.", "Look at it with 'understudy vm show'."),
            (not null, OwnershipState.Offered offered) => InTransit(record, offered),

            // The giver owned a newer line than anything known here, whatever this side believed until now.
            _ => new OwnershipOutcome.Changed(record with
            {
                State = new OwnershipState.Here(boot),
                Line = accept.Line,
                Parent = accept.Parent,
                Accepted = accept.Transfer,
                Refused = [],
            }),
        };
    }

    private static OwnershipOutcome Refuse(OwnershipRecord record, OwnershipMessage.Refuse refuse) =>
        record.Accepted == refuse.Transfer
            ? new OwnershipOutcome.Refused(
                RefusalCode.TransferAccepted, $"Transfer {refuse.Transfer} of {record.VmName} was accepted here.", "The VM is owned here; go on from that.")
        : record.Refused.Contains(refuse.Transfer) ? _same
        : record.Refused.Count >= MostRefused
            ? new OwnershipOutcome.Refused(
                RefusalCode.InTransit, $"{record.Refused.Count} transfers of {record.VmName} were refused here already.", "Claim the VM where it shall run: 'understudy local claim'.")
        : new OwnershipOutcome.Changed(record with { Refused = [.. record.Refused, refuse.Transfer] });

    private static OwnershipOutcome HandedOver(OwnershipRecord record, OwnershipMessage.HandedOver handed) => record.State switch
    {
        OwnershipState.Offered offered when offered.Transfer == handed.Transfer =>
            MoveTo(record, new OwnershipState.Elsewhere(), Newer(record.Line, handed.Line)),
        _ when !handed.Line.IsNewerThan(record.Line) => _same,
        _ => Outdated(record, handed.Line),
    };

    private static OwnershipOutcome TakeBack(OwnershipRecord record, OwnershipMessage.TakeBack back, string boot) => record.State switch
    {
        OwnershipState.Offered offered when offered.Transfer == back.Transfer => With(record, new OwnershipState.Here(boot)),
        OwnershipState.Offered offered => InTransit(record, offered),
        OwnershipState.Here => _same,
        OwnershipState.Elsewhere => NotOwner(record),
        _ => throw new UnreachableException(),
    };

    private static OwnershipOutcome Learn(OwnershipRecord record, OwnershipMessage.Learn learn) => record.State switch
    {
        // The receiver speaks under the line that was minted for it: it has accepted.
        OwnershipState.Offered offered when learn.Line == record.Line && offered.Parent.Line != record.Line =>
            With(record, new OwnershipState.Elsewhere()),
        _ when !learn.Line.IsNewerThan(record.Line) => _same,
        OwnershipState.Here => MoveTo(
            record, new OwnershipState.Elsewhere(new Deposition(record.Line, learn.MintedAt, learn.At)), learn.Line),
        OwnershipState.Offered => MoveTo(record, new OwnershipState.Elsewhere(), learn.Line),
        OwnershipState.Elsewhere => MoveTo(record, record.State, learn.Line),
        _ => throw new UnreachableException(),
    };

    private static OwnershipOutcome Claim(OwnershipRecord record, OwnershipMessage.Claim claim, string boot) =>
        record.State is OwnershipState.Here && record.Line == claim.Line ? _same
        : claim.Line.IsNewerThan(record.Line) ? With(record, new OwnershipState.Here(boot), claim.Line, claim.Parent)
        : Outdated(record, claim.Line);

    private static OwnershipOutcome Renew(OwnershipRecord record, OwnershipMessage.Renew renew, string boot) => record.State switch
    {
        OwnershipState.Offered offered => InTransit(record, offered),
        OwnershipState.Elsewhere => NotOwner(record),
        OwnershipState.Here when record.Line == renew.Line => _same,
        OwnershipState.Here when renew.Line.IsNewerThan(record.Line) => With(
            record, new OwnershipState.Here(boot), renew.Line, renew.Parent),
        OwnershipState.Here => Outdated(record, renew.Line),
        _ => throw new UnreachableException(),
    };

    private static OwnershipOutcome Close(OwnershipRecord record, OwnershipMessage.Close close) => record.State switch
    {
        OwnershipState.Here { Fence: null } here => With(record, here with { Fence = new Fence(close.Reason, close.At) }),
        _ => _same, // Closed is closed.
    };

    private static OwnershipOutcome Reopen(OwnershipRecord record) => record.State switch
    {
        OwnershipState.Here { Fence: null } => _same,
        OwnershipState.Here here => With(record, here with { Fence = null }),
        OwnershipState.Offered offered => InTransit(record, offered),
        OwnershipState.Elsewhere => NotOwner(record),
        _ => throw new UnreachableException(),
    };

    private static OwnershipOutcome Validate(OwnershipRecord record, string boot) =>
        record.State is OwnershipState.Here here && here.Boot != boot ? With(record, here with { Boot = boot }) : _same;

    private static OwnershipOutcome.Changed With(OwnershipRecord record, OwnershipState state) => new(record with { State = state });

    /// <summary>Where a newer line began is known to its owner.</summary>
    private static OwnershipOutcome.Changed MoveTo(OwnershipRecord record, OwnershipState state, LineId line) =>
        With(record, state, line, line == record.Line ? record.Parent : null);

    /// <summary>Refusals were of the line before: offers of it are void by themselves.</summary>
    private static OwnershipOutcome.Changed With(OwnershipRecord record, OwnershipState state, LineId line, RecoveryPointId? parent) =>
        new(record with { State = state, Line = line, Parent = parent, Refused = line == record.Line ? record.Refused : [] });

    private static LineId Newer(LineId a, LineId b) => a.IsNewerThan(b) ? a : b;

    private static OwnershipOutcome.Refused NotOwner(OwnershipRecord record) => new(
        RefusalCode.NotOwner, $"{record.VmName} is owned by the other side, by line {record.Line}.", "Look at it with 'understudy vm show'.");

    private static OwnershipOutcome.Refused InTransit(OwnershipRecord record, OwnershipState.Offered offered) => new(
        RefusalCode.InTransit,
        $"{record.VmName} is in transit: offered as {offered.Transfer} to host {offered.To}, which alone can accept or refuse it.",
        "Wait for that host, or claim the VM where it shall run: 'understudy local claim'.");

    private static OwnershipOutcome.Refused Outdated(OwnershipRecord record, LineId line) => new(
        RefusalCode.TransferOutdated, $"{record.VmName}: line {line} is not what follows line {record.Line}.", "Look at it with 'understudy vm show'.");
}
