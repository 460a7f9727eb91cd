using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>First push of a connection: all that the vault needs to know, so that it never builds on old news.</summary>
public sealed record AgentHello(
    string AgentVersion,
    string ReplicationEndpoint,
    HostFacts Facts,
    IReadOnlyList<DiscoveredVm> Vms,
    IReadOnlyList<SourceReport> Sources,
    IReadOnlyList<TargetReport> Targets,
    IReadOnlyList<ReplicaUnavailable>? Unavailable = null);

/// <summary>A replica that stands on the host and cannot be opened now. What was reported of it last still holds; nothing of it is gone.</summary>
/// <param name="Replica">Null when not even that can be read. Likewise the VM's name.</param>
public sealed record ReplicaUnavailable(VmId Vm, ReplicaId? Replica, ErrorInfo Error, string? VmName = null);

/// <summary>All VMs of the host; pushed whole when something changed.</summary>
public sealed record Inventory(IReadOnlyList<DiscoveredVm> Vms);

/// <summary>Something a person may want to know later.</summary>
/// <param name="Kind">A stable word for programs, e.g. "source-retrying".</param>
public sealed record AgentEvent(DateTimeOffset At, HealthLevel Severity, string Kind, VmId? Vm, string Text);

public sealed record Nothing
{
    public static Nothing Value { get; } = new();
}

public sealed record HostFactsAnswer(HostFacts Facts, DateTimeOffset Clock);

/// <summary>Can this host reach that one's replication port, with both certificates accepted?</summary>
/// <param name="Endpoint">"name:port".</param>
/// <param name="Peer">The host that must answer there.</param>
public sealed record PeerCheckRequest(string Endpoint, HostId Peer);

/// <param name="Error">Null when it answered.</param>
public sealed record PeerCheckAnswer(ErrorInfo? Error);
