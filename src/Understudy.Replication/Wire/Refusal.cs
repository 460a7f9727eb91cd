using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Replication.Wire;

/// <summary>Why a side ends the connection. The numbers are on the wire: never reused, only added to.</summary>
public enum RefusalCode : ushort
{
    /// <summary>The bytes are not this protocol, or break one of its rules.</summary>
    Malformed = 1,

    /// <summary>The other side speaks a protocol version that this one does not.</summary>
    VersionUnsupported = 2,

    /// <summary>No such replica here, or not of this VM.</summary>
    UnknownReplica = 3,

    /// <summary>The peer's certificate does not give it the right to this replica.</summary>
    NotPermitted = 4,

    /// <summary>The sender's line is no longer (or not yet) the replica's current one.</summary>
    StaleLine = 5,

    /// <summary>The record is not the one expected next; <see cref="Refusal.ExpectedSequence"/> is.</summary>
    Gap = 6,

    /// <summary>A checksum is wrong: nothing of the frame was stored.</summary>
    Corrupt = 7,

    /// <summary>The target has no space for the record.</summary>
    TargetFull = 8,

    /// <summary>The replica is in use by something that must not be disturbed; try again later.</summary>
    Busy = 9,

    /// <summary>Nothing was heard for too long.</summary>
    Silence = 10,

    /// <summary>The target's storage failed.</summary>
    StorageFault = 11,

    /// <summary>The side is stopping; connect again later.</summary>
    Stopping = 12,

    /// <summary>A newer connection for the same replica has taken over.</summary>
    Superseded = 13,

    /// <summary>The line begins before what the replica still holds; see <c>AppendOutcome.Diverged</c>.</summary>
    Diverged = 14,

    /// <summary>The replica takes no more records: it is being turned into the VM's own disk.</summary>
    Closed = 15,
}

/// <summary>A refusal as it travels: a code to decide by, a class that says who can act, what happened, and what to do next.</summary>
/// <param name="ExpectedSequence">With <see cref="RefusalCode.Gap"/> the sequence to resume at; otherwise 0.</param>
/// <param name="CurrentLine">With <see cref="RefusalCode.StaleLine"/> the replica's line; otherwise none.</param>
/// <param name="MintedAt">When that line began, by the target's clock, where the target knows.</param>
/// <param name="Offer">Set when that line waits for the very source that is being refused.</param>
public sealed record Refusal(
    RefusalCode Code,
    FaultClass Class,
    string What,
    string NextStep,
    ulong ExpectedSequence = 0,
    LineId CurrentLine = default,
    DateTimeOffset? MintedAt = null,
    LineOffer? Offer = null)
{
    public static Refusal Malformed(string what) => new(
        RefusalCode.Malformed,
        FaultClass.Fatal,
        what,
        "Compare the software versions of both agents; a proxy between them must not touch the stream.");

    /// <summary>Where the very line that calls is the newest, and there is no replica that could take its records: the VM was claimed
    /// at its source after the replica had become the VM's own disk here.</summary>
    private static Refusal NoReplicaFor(LineId line) => new(
        RefusalCode.Closed,
        FaultClass.NeedsOperator,
        $"line {line} owns the VM, and there is no replica any more that could take its records: it became the disk of the VM at this host",
        "Two copies of the VM stand. See with 'understudy vm show' which one is to stay, end the protection, and protect the VM anew where it runs.");

    /// <param name="theirs">Of the source that is refused.</param>
    public static Refusal StaleLine(LineId theirs, CurrentLine current) => theirs == current.Line ? NoReplicaFor(theirs) : new(
        RefusalCode.StaleLine,
        FaultClass.NeedsOperator,
        $"line {theirs} does not own this replica: line {current.Line} does",
        current.Offer is null
            ? "The VM has changed owner since. Look at it with 'understudy vm show' before anything is started here."
            : "The target gives the VM back: this side takes it by accepting the offer, and connects again on that line.",
        CurrentLine: current.Line,
        MintedAt: current.MintedAt,
        Offer: current.Offer);

    /// <summary>The replica is put in order after a fault of its storage; nothing that was acknowledged is lost.</summary>
    public static Refusal Reopening() => new(
        RefusalCode.StorageFault,
        FaultClass.Transient,
        "the replica is being opened anew",
        "The sender connects again and goes on where the replica stands.");

    /// <summary>To a target that calls. A source of another target is not told apart from one that is not there.</summary>
    public static Refusal UnknownSource(ReplicaId replica) => new(
        RefusalCode.UnknownReplica,
        FaultClass.NeedsOperator,
        $"this host has no source for replica {replica} of that target",
        "Look at the VM's protection in the vault: it may have ended, or go to another host.");

    /// <summary>To a target that calls while the source has no use for a connection.</summary>
    public static Refusal NotNow() => new(
        RefusalCode.Busy, FaultClass.Transient, "the source has no use for a connection now", "The target calls again.");

    /// <summary>To a call behind which a newer one has come.</summary>
    public static Refusal NewerCall() => new(
        RefusalCode.Superseded, FaultClass.Transient, "the target has called again since", "Nothing: the newer call counts.");

    public static Refusal Gap(ulong got, ulong expected) => new(
        RefusalCode.Gap,
        FaultClass.Transient,
        $"record {got} arrived where {expected} was expected",
        "The sender connects again and goes on there.",
        ExpectedSequence: expected);
}

/// <summary>The connection ended because one side refused to go on.</summary>
public sealed class RefusedException(Refusal refusal, bool byPeer)
    : UnderstudyException(
        refusal.Class,
        $"{(byPeer ? "the other side refused" : "refused the other side")}: {refusal.What} ({refusal.Code})",
        refusal.NextStep)
{
    public Refusal Refusal { get; } = refusal;

    /// <summary>True when the refusal came over the wire, false when this side made it.</summary>
    public bool ByPeer { get; } = byPeer;
}

/// <summary>The connection ended without a word: cut, closed, or silent for too long. Always worth another try.</summary>
public sealed class ConnectionLostException(string message, Exception? inner = null)
    : UnderstudyException(
        FaultClass.Transient,
        message,
        "The connection is tried again by itself; look at the network between the two hosts if this goes on.",
        inner);
