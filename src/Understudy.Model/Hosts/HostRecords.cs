namespace Understudy.Model;

public sealed record Site(SiteId Id, string Name);

/// <param name="ReplicationEndpoint">Where this host's agent takes replication in, as "name:port".</param>
/// <param name="Facts">As last reported; null before the agent's first connection.</param>
public sealed record Host(
    HostId Id,
    SiteId Site,
    string Name,
    string ReplicationEndpoint,
    bool Online,
    DateTimeOffset JoinedAt,
    DateTimeOffset? LastSeenAt,
    HostFacts? Facts);

/// <summary>What an agent says of its host.</summary>
/// <param name="HypervisorError">Why the hypervisor could not be asked; null when it answered.</param>
/// <param name="Boot">Another one after each boot of the host.</param>
/// <param name="DisplayName">What the host takes its name in the vault to be.</param>
/// <param name="Visible">Which of its VMs the host shows to its vault, as its owner said it there.</param>
public sealed record HostFacts(
    string HostName,
    string AgentVersion,
    string? HypervisorError,
    string HypervisorVersion,
    string EmulatorVersion,
    bool HardwareAcceleration,
    int Cpus,
    long MemoryBytes,
    long FreeMemoryBytes,
    IReadOnlyList<string> MachineTypes,
    IReadOnlyList<HostNetwork> Networks,
    StorageSpace Replicas,
    StorageSpace Spool,
    string? GuardProblem = null,
    string? Boot = null,
    string? Visible = null,
    string? DisplayName = null,
    ProxyState? Proxy = null,
    string? CpuModel = null,
    IReadOnlyList<string>? Firmwares = null);

public sealed record HostNetwork(string Name, bool Active, bool Isolated, string? Bridge);

/// <param name="Error">Why the folder cannot be used; null when it can.</param>
public sealed record StorageSpace(string Path, long FreeBytes, long TotalBytes, string? Error);

/// <summary>One finding of a host or VM check, with what to do when it is not a pass.</summary>
public sealed record CheckResult(string Name, CheckLevel Level, string Finding, string? Remedy);
