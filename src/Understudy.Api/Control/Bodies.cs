using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>First push of a connection: all that the vault needs to know, so that it never builds on old news.</summary>
/// <param name="Vms">Null while the hypervisor does not answer: what the vault knows of them stands.</param>
public sealed record AgentHello(
    string AgentVersion,
    string ReplicationEndpoint,
    HostFacts Facts,
    IReadOnlyList<DiscoveredVm>? Vms,
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

/// <summary>Settings of the host itself; null leaves one as it is.</summary>
/// <param name="Name">How the vault calls it.</param>
/// <param name="Proxy">Towards the vault, "none" for none: tried first (<see cref="ProxyState"/>), over a connection that is made after the answer.</param>
public sealed record HostConfigureRequest(string? Name = null, string? Proxy = null);

/// <summary>Would a VM with these needs start on this host?</summary>
public sealed record HostFitRequest(MachineNeeds Needs);

public sealed record HostFitAnswer(MachineFit Fit);

/// <summary>Can this host reach that one's replication port, with both certificates accepted?</summary>
/// <param name="Endpoint">"name:port".</param>
/// <param name="Peer">The host that must answer there.</param>
public sealed record PeerCheckRequest(string Endpoint, HostId Peer);

/// <summary>Is the host's replication port open? Where it is not, other agents are dialled from here (REG-3).</summary>
public sealed record HostListenRequest(bool Listens);

/// <param name="Error">Null when it answered.</param>
public sealed record PeerCheckAnswer(ErrorInfo? Error);
