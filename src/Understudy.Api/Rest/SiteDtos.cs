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
    StorageSpace? Spool);

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
