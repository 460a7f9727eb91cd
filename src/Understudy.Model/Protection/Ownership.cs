using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>What one side's durable record says of who may run the VM (docs/architecture.md, ownership).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<OwnershipState>))]
public enum OwnershipState
{
    /// <summary>This side may run it.</summary>
    [JsonStringEnumMemberName("here")] Here,

    /// <summary>In transit: only the receiver may take it.</summary>
    [JsonStringEnumMemberName("offered")] Offered,
    [JsonStringEnumMemberName("elsewhere")] Elsewhere,
}

/// <param name="Line">The newest line this side knows.</param>
/// <param name="Since">When the state began; at the side that minted <paramref name="Line"/>, when it did.</param>
/// <param name="Transfer">The hand-over under way, while offered; else the last one this side took part in.</param>
/// <param name="Peer">The host of the other side.</param>
/// <param name="Parent">The point <paramref name="Line"/> began at, where this side knows it.</param>
/// <param name="Validated">False after a boot until target or vault have said that the VM still is here.</param>
public sealed record OwnershipInfo(
    OwnershipState State,
    LineId Line,
    DateTimeOffset Since,
    TransferId? Transfer = null,
    HostId? Peer = null,
    RecoveryPointId? Parent = null,
    bool Validated = true);

/// <summary>Which way a VM came to run at its target.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FailoverKind>))]
public enum FailoverKind
{
    [JsonStringEnumMemberName("planned")] Planned,
    [JsonStringEnumMemberName("unplanned")] Unplanned,
}

/// <summary>The failover that stands at a target.</summary>
/// <param name="Point">Where the VM's line began there; moves with a change of the point.</param>
/// <param name="Power">Of the guest at the target, as last seen.</param>
public sealed record FailoverInfo(
    RecoveryPointId Point,
    DateTimeOffset PointCutAt,
    FailoverKind Kind,
    DateTimeOffset StartedAt,
    string VmName,
    string? Label = null,
    VmPower? Power = null);

/// <summary>What a source agent does with its running copy at first contact with a newer line (PRE-5).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<IsolatedSourceAction>))]
public enum IsolatedSourceAction
{
    [JsonStringEnumMemberName("pause")] Pause,
    [JsonStringEnumMemberName("shut down")] ShutDown,
    [JsonStringEnumMemberName("cut NICs")] CutNics,
}

/// <summary>A source that learned that its VM is owned elsewhere, and whose copy does nothing any more.</summary>
/// <param name="MintedAt">When the newer line began.</param>
/// <param name="StoppedAt">When the copy here was stopped; null when it was off already.</param>
public sealed record DeposedInfo(LineId Line, DateTimeOffset MintedAt, DateTimeOffset? StoppedAt, IsolatedSourceAction Action);
