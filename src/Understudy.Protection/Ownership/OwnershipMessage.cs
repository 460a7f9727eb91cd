using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ownership;

/// <summary>Everything that can happen to one side's part of the token. Each can arrive twice, late, or after its sender
/// has died; <see cref="OwnershipRules.Apply"/> says what follows.</summary>
public abstract record OwnershipMessage
{
    private OwnershipMessage()
    {
    }

    /// <summary>The owner gives the VM away.</summary>
    /// <param name="Minted">The line the receiver will have; null when the receiver mints it as it accepts.</param>
    public sealed record Offer(TransferId Transfer, Guid To, RecoveryPointId Parent, LineId? Minted) : OwnershipMessage;

    /// <summary>The receiver takes what was offered.</summary>
    /// <param name="Succeeds">The line that the offer gives up, when <paramref name="Line"/> was minted here: the offer is
    /// void once a newer line is known. Null when the giver minted <paramref name="Line"/>.</param>
    public sealed record Accept(TransferId Transfer, LineId Line, RecoveryPointId Parent, LineId? Succeeds) : OwnershipMessage;

    /// <summary>The receiver will never accept this transfer.</summary>
    public sealed record Refuse(TransferId Transfer) : OwnershipMessage;

    /// <summary>The giver learns that its offer was accepted.</summary>
    public sealed record HandedOver(TransferId Transfer, LineId Line) : OwnershipMessage;

    /// <summary>The giver takes back an offer; whoever sends this has the receiver's durable refusal.</summary>
    public sealed record TakeBack(TransferId Transfer) : OwnershipMessage;

    /// <summary>The other side, or whoever has spoken with it, names the line that owns the VM.</summary>
    public sealed record Learn(LineId Line, DateTimeOffset MintedAt, DateTimeOffset At) : OwnershipMessage;

    /// <summary>A human's word: this side is the owner from now on, whatever the other one does.</summary>
    public sealed record Claim(LineId Line, RecoveryPointId Parent) : OwnershipMessage;

    /// <summary>The owner goes on under a newer line of its own (it moved to another recovery point).</summary>
    public sealed record Renew(LineId Line, RecoveryPointId Parent) : OwnershipMessage;

    public sealed record Close(string Reason, DateTimeOffset At) : OwnershipMessage;

    public sealed record Reopen : OwnershipMessage;

    /// <summary>Someone who would know of a newer line has been asked in this boot, and knows of none.</summary>
    public sealed record Validate : OwnershipMessage;
}
