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
/// <param name="PausedBy">Who paused replication; null while it is not.</param>
/// <param name="Fenced">Nobody can start the VM here.</param>
/// <param name="Deposed">Set from first contact with a newer line on.</param>
/// <param name="Branches">Old disks kept here; null means none.</param>
/// <param name="Disks">The disks taken part, with the progress of each copy; null when the agent cannot say.</param>
/// <param name="ExcludedDisks">Disks left out, by their device at the guest; null means none.</param>
/// <param name="Link">Which way the connection to the target is made; null of a source that has none any more.</param>
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
    string? Warning = null,
    string? PausedBy = null,
    bool Fenced = false,
    OwnershipInfo? Ownership = null,
    DeposedInfo? Deposed = null,
    IReadOnlyList<BranchInfo>? Branches = null,
    IReadOnlyList<DiskProgress>? Disks = null,
    IReadOnlyList<string>? ExcludedDisks = null,
    LinkInfo? Link = null);

/// <summary>One side's part in making the connection between two agents (REG-3).</summary>
/// <param name="Dials">Where this side dials the other, "name:port"; null where it waits to be dialled.</param>
public sealed record LinkInfo(string? Dials);

/// <summary>One disk of a source. Done equals total once its copy is complete.</summary>
public sealed record DiskProgress(string TargetDevice, long SizeBytes, long BytesDone, long BytesTotal);

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
/// <param name="Failover">Set while the VM runs here, committed or not.</param>
/// <param name="Branches">Null means none.</param>
/// <param name="Mounts">Null means none.</param>
/// <param name="TestBytes">What each test has written, by its id; null when the agent cannot say.</param>
/// <param name="Seed">What the first copy begins or began with; null for nothing.</param>
/// <param name="Link">Which way the connection to the source is made.</param>
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
    string? Waiting = null,
    OwnershipInfo? Ownership = null,
    FailoverInfo? Failover = null,
    IReadOnlyList<BranchInfo>? Branches = null,
    IReadOnlyList<MountInfo>? Mounts = null,
    IReadOnlyDictionary<Guid, long>? TestBytes = null,
    SeedProgress? Seed = null,
    LinkInfo? Link = null);

/// <summary>A seed being read into the base of a replica.</summary>
/// <param name="BytesTotal">0 while the source has not told its disks.</param>
/// <param name="Taken">The base holds it; what differs is sent.</param>
/// <param name="Remarks">Sentences: cut at the disk's end, could not be read to its end.</param>
public sealed record SeedProgress(long BytesDone, long BytesTotal, bool Taken, IReadOnlyList<string> Remarks);
