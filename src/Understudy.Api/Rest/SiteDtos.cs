using Understudy.Model;

namespace Understudy.Api.Rest;

public sealed record StatusDto(string Name, string Version, DateTimeOffset Clock);

public sealed record SiteDto(Guid Id, string Name, IReadOnlyList<string> Hosts);

public sealed record SiteAddDto(string Name);

/// <param name="ValidFor">A duration such as 24h; the default is 24 hours.</param>
public sealed record KeyAddDto(string? ValidFor);

public sealed record HostDto(
    Guid Id,
    string Name,
    string Site,
    bool Online,
    DateTimeOffset JoinedAt,
    DateTimeOffset? LastSeenAt,
    double? ClockDifferenceSeconds,
    string ReplicationEndpoint,
    string? AgentVersion,
    string? HypervisorVersion,
    string? EmulatorVersion,
    bool? HardwareAcceleration,
    int? Cpus,
    long? MemoryBytes,
    long? FreeMemoryBytes,
    int VmCount,
    IReadOnlyList<HostNetwork> Networks,
    StorageSpace? Replicas,
    StorageSpace? Spool,
    MaintenanceDto? Maintenance = null,
    IReadOnlyList<HostPool>? Pools = null);

/// <param name="Until">Null: until the host has booted, or somebody ends it.</param>
public sealed record MaintenanceDto(DateTimeOffset Since, DateTimeOffset? Until, string? Reason, string By);

/// <param name="Until">When it is over by itself; null: after the host's next boot.</param>
/// <param name="ShutdownLimit">How long a guest may take to shut down; the default is 5min.</param>
public sealed record MaintenanceBeginDto(DateTimeOffset? Until = null, string? Reason = null, string? ShutdownLimit = null);

/// <summary>A maintenance of a host: the one that is on, or what one would do.</summary>
/// <param name="Since">Null while there is none.</param>
public sealed record HostMaintenanceDto(
    string Host, DateTimeOffset? Since, DateTimeOffset? Until, string? Reason, string? By, IReadOnlyList<MaintainedVmDto> Vms);

/// <param name="Part">source or target: what the host is to the VM.</param>
/// <param name="Happens">In words.</param>
/// <param name="Job">That puts the VM to rest and gives it back.</param>
/// <param name="Ready">The host may go, as far as this VM is concerned.</param>
public sealed record MaintainedVmDto(string Vm, string Part, string Happens, long? Job, bool Ready);

public sealed record HostCheckDto(string Host, CheckLevel Worst, IReadOnlyList<CheckResult> Checks);

/// <param name="MappedTo">"network at site", one for each mapping it is the source of.</param>
public sealed record NetworkDto(string Name, string Site, string Host, bool Active, bool Isolated, IReadOnlyList<string> MappedTo);

public sealed record MappingDto(
    string SourceSite,
    string SourceNetwork,
    string TargetSite,
    string TargetNetwork,
    string? TestNetwork,
    bool Automatic);

/// <param name="SourceSite">May be left out when only one site has the network.</param>
/// <param name="TargetSite">May be left out when there are two sites.</param>
public sealed record MapNetworkDto(
    string SourceNetwork,
    string TargetNetwork,
    string? SourceSite,
    string? TargetSite,
    string? TestNetwork);

public sealed record EventDto(
    long Id,
    DateTimeOffset At,
    HealthLevel Severity,
    string Kind,
    string? Vm,
    string? Host,
    string Text);
