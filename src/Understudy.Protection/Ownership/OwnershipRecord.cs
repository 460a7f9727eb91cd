using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ownership;

/// <summary>
/// What one side knows of who may run a VM (docs/protocols/ownership.md): the two sides' records together are one token.
/// Replaced as a whole, by <see cref="OwnershipRules"/> only.
/// </summary>
/// <param name="VmName">The VM's name on this host.</param>
/// <param name="Peer">The host that holds the other side.</param>
/// <param name="Line">The newest line this side knows: its own while it owns the VM, the owner's otherwise, and while an
/// offer is in transit the one that is handed over (or, where the receiver mints, succeeded).</param>
/// <param name="Parent">The point at which <paramref name="Line"/> began, where this side knows it.</param>
/// <param name="Since">When state and line became what they are.</param>
/// <param name="Disks">Paths of the VM's disks on this host, for the start guard.</param>
/// <param name="Accepted">The last transfer accepted here: it cannot be refused any more.</param>
/// <param name="Refused">Transfers of the present line refused here: they are never accepted any more.</param>
public sealed record OwnershipRecord(
    VmId Vm,
    string VmName,
    ReplicaId Replica,
    Guid Peer,
    LineId Line,
    RecoveryPointId? Parent,
    OwnershipState State,
    DateTimeOffset Since,
    IReadOnlyList<string> Disks,
    TransferId? Accepted,
    IReadOnlyList<TransferId> Refused)
{
    /// <summary>Whether the VM may be started on this host in the boot that is named.</summary>
    public bool MayRun(string boot) => State is OwnershipState.Here { Fence: null } here && here.Boot == boot;
}

[JsonPolymorphic(TypeDiscriminatorPropertyName = "is", UnknownDerivedTypeHandling = JsonUnknownDerivedTypeHandling.FailSerialization)]
[JsonDerivedType(typeof(Here), "here")]
[JsonDerivedType(typeof(Offered), "offered")]
[JsonDerivedType(typeof(Elsewhere), "elsewhere")]
public abstract record OwnershipState
{
    private OwnershipState()
    {
    }

    /// <summary>This side may run the VM.</summary>
    /// <param name="Boot">The boot of this host in which that was last known to be so. In another one it is a claim that
    /// has to be validated again: who slept through a failover must not go on as owner.</param>
    /// <param name="Fence">Set while the VM must stay off although it is owned here, before it is handed over.</param>
    public sealed record Here(string Boot, Fence? Fence = null) : OwnershipState;

    /// <summary>In transit: only the receiver can end this, by accepting or by a durable refusal.</summary>
    /// <param name="To">The host that may accept.</param>
    /// <param name="Parent">The point from which the receiver goes on.</param>
    public sealed record Offered(TransferId Transfer, Guid To, RecoveryPointId Parent) : OwnershipState;

    /// <summary>The other side owns the VM.</summary>
    /// <param name="Deposed">Set when this side owned it until a newer line was learnt of: what it has is a branch.</param>
    public sealed record Elsewhere(Deposition? Deposed = null) : OwnershipState;
}

public sealed record Fence(string Reason, DateTimeOffset At);

/// <param name="Lost">The line this side had.</param>
/// <param name="MintedAt">When the newer line began, by its owner's clock.</param>
/// <param name="LearntAt">When this side heard of it, by its own.</param>
public sealed record Deposition(LineId Lost, DateTimeOffset MintedAt, DateTimeOffset LearntAt);
