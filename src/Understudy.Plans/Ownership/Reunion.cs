using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans;

/// <summary>A message that one side of a protection is owed because of what the other side's record says.</summary>
public abstract record Owed
{
    private Owed()
    {
    }

    /// <summary>The source still thinks that the VM is its own; a newer line runs at the target.</summary>
    public sealed record Depose(LineId Line, DateTimeOffset MintedAt) : Owed;

    /// <summary>The target has taken what the source offered.</summary>
    public sealed record HandOver(TransferId Transfer, LineId Line) : Owed;

    /// <summary>The target offers the VM back.</summary>
    public sealed record Accept(TransferId Transfer, LineId Line, RecoveryPointId Parent) : Owed;

    /// <summary>The source has taken what the target offered.</summary>
    public sealed record Settle(TransferId Transfer) : Owed;

    /// <summary>The source has booted and asks whether the VM still is its own.</summary>
    public sealed record Revalidate(LineId Line, DateTimeOffset MintedAt, bool Valid) : Owed;

    /// <summary>The target has booted and asks whether the VM that was failed over still is its own.</summary>
    public sealed record RevalidateTarget(LineId Line, bool Valid) : Owed;
}

/// <summary>
/// What the vault passes on when both sides are heard. The agents' records are the truth, and what it says is only what one
/// of them says already: so it may say it twice, late, or never, and nothing goes wrong by it but time.
/// </summary>
public static class Reunion
{
    /// <param name="source">Of an agent that is connected now, as the target's; what something older proves is below.</param>
    /// <returns>Owed to the source, or to the target (<see cref="Owed.Settle"/>, <see cref="Owed.RevalidateTarget"/>). At most one: the next report shows what follows.</returns>
    public static Owed? Of(OwnershipInfo? source, OwnershipInfo? target) => (source, target) switch
    {
        (null, _) or (_, null) => null,

        // What was offered is settled first: a transfer is no deposition.
        ({ State: OwnershipState.Offered, Transfer: { } transfer }, { State: OwnershipState.Here } owner)
            when owner.Transfer == transfer => new Owed.HandOver(transfer, owner.Line),
        ({ State: OwnershipState.Here } owner, { State: OwnershipState.Offered, Transfer: { } transfer } giver)
            when owner.Line == giver.Line => new Owed.Settle(transfer),
        ({ } taker, { State: OwnershipState.Offered, Transfer: { } transfer, Parent: { } parent } giver)
            when giver.Line.IsNewerThan(taker.Line) => new Owed.Accept(transfer, giver.Line, parent),

        ({ State: OwnershipState.Here or OwnershipState.Offered } before, { State: OwnershipState.Here } owner)
            when owner.Line.IsNewerThan(before.Line) => new Owed.Depose(owner.Line, owner.Since),

        ({ State: OwnershipState.Here, Validated: false } asks, { State: OwnershipState.Elsewhere } other)
            => new Owed.Revalidate(other.Line, other.Since, Valid: !other.Line.IsNewerThan(asks.Line)),
        ({ } other, { State: OwnershipState.Here, Validated: false } asks)
            => new Owed.RevalidateTarget(other.Line, Valid: !other.Line.IsNewerThan(asks.Line)),
        _ => null,
    };

    /// <summary>
    /// What a target that has booted is owed while its source is away, perhaps for good: a site burnt, its VMs were failed over,
    /// and the host that runs them is booted for a new kernel. A source mints no line but by a human's claim on that very
    /// host; should somebody have done that out of this vault's sight, he was told that the target may run the VM.
    /// </summary>
    /// <param name="lastKnown">The source's last report, however old; null when there never was one: then nothing is known.</param>
    public static Owed? WithoutSource(OwnershipInfo? lastKnown, OwnershipInfo? target) =>
        (lastKnown, target) is ({ } source, { State: OwnershipState.Here, Validated: false } asks) && !source.Line.IsNewerThan(asks.Line)
            ? new Owed.RevalidateTarget(source.Line, Valid: true)
            : null;

    /// <summary>
    /// What a source is owed while its target is away: a line that was minted stays minted, whatever became of it since, so an
    /// old report proves that this source's is not the newest. Its copy must not run on beside the owner's until that
    /// owner's agent, stopped for an upgrade perhaps, is heard again. What the target offered meanwhile is newer still, and it takes it then.
    /// </summary>
    /// <param name="lastKnown">The target's last report, however old.</param>
    public static Owed? WithoutTarget(OwnershipInfo? source, OwnershipInfo? lastKnown) => Of(source, lastKnown) as Owed.Depose;

    /// <summary>Both sides say that the VM is theirs: two humans have decided, or one without knowing of the other.</summary>
    public static bool IsContested(OwnershipInfo? source, OwnershipInfo? target) =>
        source?.State == OwnershipState.Here && target?.State == OwnershipState.Here;
}
