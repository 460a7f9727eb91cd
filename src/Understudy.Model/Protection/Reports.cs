using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>What a source is doing for one VM.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SourcePhase>))]
public enum SourcePhase
{
    [JsonStringEnumMemberName("first copy")] FirstCopy,
    [JsonStringEnumMemberName("protected")] Protected,
    [JsonStringEnumMemberName("resynchronising")] Resynchronising,
}

/// <summary>Sent by the source's agent when something changed, at most once a second for each VM, and on connecting.</summary>
/// <param name="BytesDone">Of the first copy or resynchronisation under way.</param>
/// <param name="BytesBehind">Changed and not yet acknowledged by the target, as far as known.</param>
/// <param name="LastPoint">The newest point the target has acknowledged.</param>
/// <param name="CyclesMissed">Cuts that were due and not made because the one before was still undelivered.</param>
/// <param name="TargetFull">The target refuses data for want of space.</param>
/// <param name="Error">Why replication does not go on; null while it does. It retries by itself.</param>
/// <param name="Warning">A sentence when changes come faster than the link carries them, with the numbers.</param>
public sealed record SourceReport(
    VmId Vm,
    ReplicaId Replica,
    SourcePhase Phase,
    VmPower Power,
    long BytesDone,
    long BytesTotal,
    long BytesPerSecond,
    long BytesBehind,
    RecoveryPointInfo? LastPoint,
    DateTimeOffset? NextCutAt,
    TimeSpan? LastCycleDuration,
    long CyclesMade,
    long CyclesMissed,
    long CyclesFailed,
    long AverageCycleBytes,
    long LargestCycleBytes,
    bool TargetFull,
    ErrorInfo? Error,
    string? Warning = null);

/// <summary>What stands at the target.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<TargetPhase>))]
public enum TargetPhase
{
    [JsonStringEnumMemberName("receiving")] Receiving,
    [JsonStringEnumMemberName("failing over")] FailingOver,
    [JsonStringEnumMemberName("commit pending")] CommitPending,
    [JsonStringEnumMemberName("committing")] Committing,
    [JsonStringEnumMemberName("failed over")] FailedOver,
}

/// <summary>Sent by the target's agent like <see cref="SourceReport"/>.</summary>
/// <param name="JournalBytes">Space the history takes.</param>
/// <param name="Tests">Tests that stand on this host.</param>
/// <param name="Waiting">What a commit under way waits for.</param>
public sealed record TargetReport(
    VmId Vm,
    ReplicaId Replica,
    LineId Line,
    TargetPhase Phase,
    int PointCount,
    RecoveryPointInfo? Oldest,
    RecoveryPointInfo? Newest,
    long JournalBytes,
    long BaseBytes,
    IReadOnlyList<TestId> Tests,
    ErrorInfo? Error,
    string? Waiting = null);
