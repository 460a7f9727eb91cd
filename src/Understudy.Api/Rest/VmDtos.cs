using Understudy.Model;

namespace Understudy.Api.Rest;

/// <param name="Host">Where it is; after a failover the active side.</param>
/// <param name="Branches">Kept states of lines that lost, at both sides; old disks may outlive the protection.</param>
public sealed record VmDto(
    Guid Id,
    string Name,
    string Host,
    string Site,
    VmPower Power,
    ProtectionState State,
    int Cpus,
    long MemoryBytes,
    string Firmware,
    string MachineType,
    bool HasGuestAgentChannel,
    bool HasSnapshots,
    IReadOnlyList<DiscoveredDisk> Disks,
    IReadOnlyList<DiscoveredNic> Nics,
    IReadOnlyList<BranchDto> Branches,
    ProtectionDto? Protection);

/// <summary>MON-1 for one VM. Durations are seconds; null means not known (yet).</summary>
/// <param name="Wait">What is waited for beside the state, by the words of states.md.</param>
/// <param name="Countdown">Set while the policy is about to decide by itself.</param>
/// <param name="Direction">"source site -> target site".</param>
/// <param name="Line">The newest line known.</param>
/// <param name="RpoSeconds">Age of the newest point, while the VM runs at the source.</param>
/// <param name="WindowSeconds">From the oldest to the newest point.</param>
/// <param name="Job">The job that is working on the VM now.</param>
/// <param name="Pool">The target's storage pool that the replica is in; null for the agent's own folders.</param>
public sealed record ProtectionDto(
    ProtectionState State,
    ProtectionWait Wait,
    CountdownDto? Countdown,
    string? PausedBy,
    HealthDto Health,
    string Direction,
    string ActiveSite,
    string SourceHost,
    string TargetHost,
    string TargetName,
    string Policy,
    string? Line,
    FailoverDetailDto? Failover,
    DeposedDto? Deposed,
    double? RpoSeconds,
    RpoSummaryDto Rpo,
    PointDto? LastPoint,
    PointDto? OldestPoint,
    int PointCount,
    double WindowSeconds,
    long JournalBytes,
    DateTimeOffset? NextCutAt,
    CopyProgressDto? Copy,
    long BytesBehind,
    double? CatchUpSeconds,
    CyclesDto Cycles,
    IReadOnlyList<NicPlan> Nics,
    int? Cpus,
    long? MemoryBytes,
    IReadOnlyList<string> ExcludedDisks,
    IReadOnlyList<TestDto> Tests,
    IReadOnlyList<MountedDto> Mounts,
    long? Job,
    ErrorDto? Error,
    string? Pool = null);

/// <param name="Does">"commit" or "cancel".</param>
public sealed record CountdownDto(string Does, DateTimeOffset At, double SecondsLeft);

/// <param name="Power">Of the VM at the target.</param>
/// <param name="Run">What this run was given over the stored settings, until it is committed; null where that was said at the host.</param>
public sealed record FailoverDetailDto(
    FailoverKind Kind, string Point, DateTimeOffset PointCutAt, DateTimeOffset StartedAt, string VmName, string? Label, VmPower? Power, RunChoices? Run = null);

/// <summary>A source that learned that its VM is elsewhere.</summary>
/// <param name="OverlapSeconds">How long both copies may have run; null when the one here was off.</param>
public sealed record DeposedDto(string Line, DateTimeOffset At, double? OverlapSeconds, IsolatedSourceAction Action);

/// <summary>How old the newest point became in the last 24 hours.</summary>
/// <param name="WithinShare">Share of the time in which it was within the warning's bound, 0 to 1; null without history.</param>
public sealed record RpoSummaryDto(double WantedSeconds, double WarningSeconds, double? WorstSeconds, double? WithinShare);

/// <param name="WorstSeconds">The greatest age of the newest point in the five minutes that end at that moment.</param>
public sealed record RpoSampleDto(DateTimeOffset At, double WorstSeconds);

public sealed record HealthDto(HealthLevel Level, IReadOnlyList<HealthReason> Reasons);

/// <summary>First copy or resynchronisation under way.</summary>
public sealed record CopyProgressDto(long BytesDone, long BytesTotal, long BytesPerSecond, double? SecondsLeft);

public sealed record CyclesDto(
    long Made,
    long Missed,
    long Failed,
    long AverageBytes,
    long LargestBytes,
    double? LastDurationSeconds);

/// <param name="Point">Null, as the job, for a test that was made at the host without the vault.</param>
/// <param name="Bytes">What it takes at the target, as far as known.</param>
public sealed record TestDto(string VmName, string? Point, long? Job, DateTimeOffset? StartedAt, string? Label, long? Bytes);

/// <param name="Id">Line and sequence; time is a label.</param>
/// <param name="Marks">What is special about it, in words: planned, bookmark, and what stands on it.</param>
public sealed record PointDto(string Id, DateTimeOffset CutAt, PointKind Kind, string? Label, IReadOnlyList<string> Marks);

/// <param name="Name">By which it is used and deleted.</param>
/// <param name="Point">The point it stands on; null for old disks of a source.</param>
/// <param name="ExpiresAt">Null: kept until it is deleted by name.</param>
/// <param name="UsedBy">What stands on it.</param>
public sealed record BranchDto(
    string Name,
    Guid Id,
    BranchKind Kind,
    string Host,
    string? Point,
    DateTimeOffset KeptAt,
    DateTimeOffset? ExpiresAt,
    long Bytes,
    IReadOnlyList<string> Disks,
    IReadOnlyList<string> UsedBy,
    string? Label);

/// <param name="Name">By which it is taken back.</param>
/// <param name="What">A point's id, or a branch's name.</param>
/// <param name="ToVm">The VM it is attached to; null when it is mounted.</param>
public sealed record MountedDto(string Name, string What, string? ToVm, bool Writable, IReadOnlyList<string> Devices, DateTimeOffset Since);

public sealed record VmVerifyDto(string Vm, string Target, CheckLevel Worst, IReadOnlyList<CheckResult> Checks);

/// <param name="To">A host, or a site with one host.</param>
/// <param name="Name">Name at the target; the VM's own (made lawful) when left out.</param>
/// <param name="Nics">Choices for single NICs; the rest follow the network map.</param>
/// <param name="Cpus">At the target; as at the source when left out. Likewise the memory.</param>
/// <param name="ExcludedDisks">Disks to leave out, by their device at the guest, e.g. "vdb".</param>
/// <param name="Pool">Storage pool of the target; "none" for the agent's own folders; the storage map's when left out.</param>
/// <param name="StartAt">When the first copy begins; the policy's start time when left out.</param>
public sealed record ProtectDto(
    string To,
    string? Policy,
    string? Name,
    IReadOnlyList<NicChoiceDto>? Nics,
    int? Cpus = null,
    long? MemoryBytes = null,
    IReadOnlyList<string>? ExcludedDisks = null,
    DateTimeOffset? StartAt = null,
    string? Pool = null);

/// <param name="Network">Network at the target; "none" for unplugged. In a test also "isolated", the network made for it.</param>
/// <param name="TestNetwork">Network of tests that follow the map; "none" for one made for each. Not for the choices of one test.</param>
/// <param name="NewMac">Another address at the target, or "keep" for the one it has at the source.</param>
public sealed record NicChoiceDto(string Mac, string? Network, string? TestNetwork, string? NewMac);

/// <summary>What one run is given over the stored settings, which stay as they are (CFG-6). What is left out is as stored.</summary>
/// <param name="Name">Of the VM at the target; of a test, the name of the copy.</param>
/// <param name="Cpus">Zero: as in the recovery point. Likewise the memory.</param>
public sealed record RunDto(string? Name = null, IReadOnlyList<NicChoiceDto>? Nics = null, int? Cpus = null, long? MemoryBytes = null);

/// <summary>What is left out keeps its value. Zero CPUs or memory: as at the source.</summary>
/// <param name="Nics">Choices for single NICs; those not named keep theirs.</param>
/// <param name="ExcludedDisks">All that are left out from now on.</param>
/// <param name="Pool">The one that the replica is in: this version does not move it.</param>
public sealed record VmSetDto(
    string? Policy = null,
    string? Name = null,
    IReadOnlyList<NicChoiceDto>? Nics = null,
    int? Cpus = null,
    long? MemoryBytes = null,
    IReadOnlyList<string>? ExcludedDisks = null,
    string? Pool = null);

public sealed record MarkDto(string? Label);

/// <param name="Point">An id, a time (to the second), "latest" (default), or the name of a branch.</param>
/// <param name="Network">"isolated" (default: made for the test), "mapped" (test networks of the mappings), "none", or a network of the target.</param>
/// <param name="Run">Its NICs go where they are told to in this test; the rest by <paramref name="Network"/>.</param>
public sealed record TestVmDto(string? Point, string? Network, string? Label = null, RunDto? Run = null);

/// <param name="Test">Name of the test's VM; may be left out when one test stands.</param>
/// <param name="Confirm">FAILOVER.</param>
/// <param name="Run">Of the failover; what the test was given ends with it.</param>
public sealed record PromoteDto(string? Test, string? Confirm, string? Label = null, RunDto? Run = null);

/// <param name="Unplanned">Whatever the state of the source; what is newer than the point is lost. Without it: shut down, last change, start.</param>
/// <param name="Point">For an unplanned failover: an id, a time, or "latest" (default).</param>
/// <param name="Confirm">FAILOVER, for an unplanned failover.</param>
/// <param name="ShutDownSource">Unplanned: first try to shut the source down and to send what is left; go on if that fails.</param>
/// <param name="ShutdownLimit">How long a guest may take to shut down; the default is 5min.</param>
public sealed record FailoverDto(
    bool Unplanned, string? Point, string? Confirm, bool ShutDownSource = false, string? ShutdownLimit = null, string? Label = null, RunDto? Run = null);

/// <param name="Run">What is left out stays as the run has it.</param>
public sealed record ChangePointDto(string Point, string? Label = null, RunDto? Run = null);

/// <param name="Confirm">The word OFFLINE, when the source is away and the VM will run nowhere until it returns.</param>
public sealed record CancelFailoverDto(string? Confirm = null);

/// <param name="KeepAtTarget">Must be true when the VM runs at its target: it becomes an ordinary VM there.</param>
public sealed record UnprotectDto(bool KeepAtTarget);

/// <param name="Writable">Through an overlay that goes with it.</param>
public sealed record MountDto(bool Writable = false);

/// <param name="ToVm">Name or id of a VM of the target host.</param>
public sealed record AttachDto(string ToVm, bool Writable = false);

/// <param name="Confirm">The branch's name once more.</param>
public sealed record DeleteBranchDto(string? Confirm);

/// <summary>What a person should know before the word FAILOVER.</summary>
/// <param name="Warnings">Sentences to show; the first says what may still be running.</param>
public sealed record FailoverPreviewDto(
    string Vm,
    SourceKnowledge Source,
    string TargetHost,
    PointDto? Latest,
    double? LossSeconds,
    string ConfirmationWord,
    IReadOnlyList<string> Warnings);

/// <param name="Folder">New or empty folder on the target host.</param>
/// <param name="Format">raw (default) or qcow2.</param>
public sealed record ExportDto(string Folder, string? Format);
