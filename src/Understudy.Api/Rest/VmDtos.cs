using Understudy.Model;

namespace Understudy.Api.Rest;

/// <param name="Host">Where it is; after a failover the active side.</param>
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
    ProtectionDto? Protection);

/// <summary>MON-1 for one VM. Durations are seconds; null means not known (yet).</summary>
/// <param name="Direction">"source site -> target site".</param>
/// <param name="RpoSeconds">Age of the newest point, while the VM runs at the source.</param>
/// <param name="WindowSeconds">From the oldest to the newest point.</param>
/// <param name="Job">The job that is working on the VM now.</param>
public sealed record ProtectionDto(
    ProtectionState State,
    HealthDto Health,
    string Direction,
    string ActiveSite,
    string SourceHost,
    string TargetHost,
    string TargetName,
    string Policy,
    double? RpoSeconds,
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
    IReadOnlyList<TestDto> Tests,
    long? Job,
    ErrorDto? Error);

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

public sealed record TestDto(string VmName, string Point, long Job, DateTimeOffset StartedAt);

/// <param name="Id">Line and sequence; time is a label.</param>
public sealed record PointDto(string Id, DateTimeOffset CutAt, PointKind Kind, string? Label);

public sealed record VmVerifyDto(string Vm, string Target, CheckLevel Worst, IReadOnlyList<CheckResult> Checks);

/// <param name="To">A host, or a site with one host.</param>
/// <param name="Name">Name at the target; the VM's own (made lawful) when left out.</param>
/// <param name="Nics">Choices for single NICs; the rest follow the network map.</param>
public sealed record ProtectDto(string To, string? Policy, string? Name, IReadOnlyList<NicChoiceDto>? Nics);

/// <param name="Network">Network at the target; "none" for unplugged.</param>
/// <param name="NewMac">Another address at the target; the same one when left out.</param>
public sealed record NicChoiceDto(string Mac, string? Network, string? TestNetwork, string? NewMac);

/// <param name="Point">An id, a time (to the second), or "latest" (default).</param>
/// <param name="Network">"isolated" (default: made for the test), "mapped" (test networks of the mappings), "none", or a network of the target.</param>
public sealed record TestVmDto(string? Point, string? Network);

/// <param name="Unplanned">Must be true: the planned failover is not offered by this version.</param>
/// <param name="Confirm">FAILOVER.</param>
public sealed record FailoverDto(bool Unplanned, string? Point, string? Confirm);

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
