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
    IReadOnlyList<TargetReport> Targets);

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

/// <summary>Target: make an empty replica that accepts the source. Asked for one that exists, it answers as at first.</summary>
/// <param name="TargetName">Name the VM gets when it is failed over.</param>
/// <param name="Source">The only host whose certificate may send.</param>
/// <param name="Disks">For the space check; the truth comes with the stream.</param>
public sealed record ReplicaCreateRequest(
    VmId Vm,
    string VmName,
    ReplicaId Replica,
    HostId Source,
    string TargetName,
    IReadOnlyList<DiscoveredDisk> Disks,
    ReplicaSettings Settings);

public sealed record ReplicaSettings(TimeSpan Retention);

/// <param name="Made">What stands on the host because of it, one line each.</param>
public sealed record ReplicaCreated(LineId Line, IReadOnlyList<string> Made);

/// <summary>Target: settings of a replica that exists; taken up without starting over.</summary>
public sealed record ReplicaConfigureRequest(ReplicaId Replica, ReplicaSettings Settings);

/// <summary>Source: start replicating. Asked again, it goes on with what it does.</summary>
/// <param name="Endpoint">Where the target listens, "name:port".</param>
/// <param name="Target">The only host whose certificate may receive.</param>
public sealed record SourceProtectRequest(
    VmId Vm,
    ReplicaId Replica,
    LineId Line,
    HostId Target,
    string Endpoint,
    SourceSettings Settings);

public sealed record SourceSettings(TimeSpan Frequency, bool Compression);

public sealed record SourceConfigureRequest(VmId Vm, SourceSettings Settings);

public sealed record PointsRequest(ReplicaId Replica);

/// <param name="Points">Oldest first.</param>
public sealed record PointsAnswer(IReadOnlyList<RecoveryPointInfo> Points);

/// <summary>Target: start a copy of the VM from a point; it takes no part in replication and changes nothing of it.</summary>
/// <param name="Isolated">All NICs on a network made for this test; else each NIC as its plan's test network says.</param>
public sealed record TestStartRequest(
    VmId Vm,
    ReplicaId Replica,
    TestId Test,
    RecoveryPointId Point,
    string VmName,
    bool Isolated,
    IReadOnlyList<NicPlan> Nics);

/// <param name="Made">What stands on the host because of it, one line each.</param>
/// <param name="Notes">What the user should know, e.g. a part of the definition that could not be kept.</param>
public sealed record TestStarted(string VmName, string? Network, IReadOnlyList<string> Made, IReadOnlyList<string>? Notes = null);

/// <summary>Target: remove all that the test made. Asked for a test that is gone, it says so and that is fine.</summary>
/// <param name="Note">What the user left; kept with the test's record.</param>
public sealed record TestCompleteRequest(ReplicaId Replica, TestId Test, string? Note = null);

/// <param name="Kept">What still stands, with the reason; empty when nothing does.</param>
public sealed record Removed(IReadOnlyList<string> Gone, IReadOnlyList<string> Kept);

/// <summary>Target: make the VM run here from a point, unplanned. A new line begins; the old source is refused from now on.</summary>
public sealed record FailoverStartRequest(
    VmId Vm,
    ReplicaId Replica,
    RecoveryPointId Point,
    string VmName,
    IReadOnlyList<NicPlan> Nics);

/// <param name="Notes">As in <see cref="TestStarted"/>.</param>
public sealed record FailoverStarted(LineId Line, string VmName, IReadOnlyList<string> Made, IReadOnlyList<string>? Notes = null);

/// <summary>Target: make the failover final; the VM runs on and ends on ordinary images.</summary>
public sealed record CommitRequest(VmId Vm, ReplicaId Replica);

/// <param name="Images">Where the VM's disks are now.</param>
/// <param name="Pending">Why the last merge waits; null when the VM stands on one image a disk.</param>
public sealed record Committed(IReadOnlyList<string> Images, string? Pending);

/// <summary>Source: stop replicating and remove all that is ours: tracking, spool, state. The VM itself stays.</summary>
public sealed record SourceUnprotectRequest(VmId Vm, ReplicaId Replica);

/// <summary>Target: remove the replica; a VM that was failed over and committed stays as an ordinary VM.</summary>
public sealed record TargetUnprotectRequest(VmId Vm, ReplicaId Replica);

/// <summary>Target: write the disks of a point as ordinary files into a new or empty folder of that host.</summary>
/// <param name="Format">raw or qcow2.</param>
public sealed record PointExportRequest(ReplicaId Replica, RecoveryPointId Point, string Folder, string Format);

public sealed record PointExported(IReadOnlyList<string> Files);
