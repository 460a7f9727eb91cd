using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>Target: make an empty replica that accepts the source. Asked for one that exists, it answers as at first.</summary>
/// <param name="TargetName">Name the VM gets when it is failed over.</param>
/// <param name="Source">The only host whose certificate may send.</param>
/// <param name="Disks">For the space check; the truth comes with the stream.</param>
/// <param name="Pool">The storage pool it is made in; null for the agent's own folders.</param>
public sealed record ReplicaCreateRequest(
    VmId Vm,
    string VmName,
    ReplicaId Replica,
    HostId Source,
    string TargetName,
    IReadOnlyList<DiscoveredDisk> Disks,
    ReplicaSettings Settings,
    string? Pool = null);

/// <param name="Recovery">How the VM is to run there; null leaves what was said before.</param>
public sealed record ReplicaSettings(TimeSpan Retention, RecoverySettings? Recovery = null);

/// <param name="Made">What stands on the host because of it, one line each.</param>
public sealed record ReplicaCreated(LineId Line, IReadOnlyList<string> Made);

/// <summary>Target: settings of a replica that exists; taken up without starting over.</summary>
public sealed record ReplicaConfigureRequest(ReplicaId Replica, ReplicaSettings Settings);

/// <summary>Target: remove the replica; a VM that was failed over and committed stays as an ordinary VM.</summary>
/// <param name="DeleteBranches">What ran and lost may go with it; otherwise branches are in the way, and named.</param>
/// <param name="SourceUntold">The VM stays here, and its source is away and has not heard of it: it is told when it calls.</param>
public sealed record TargetUnprotectRequest(VmId Vm, ReplicaId Replica, bool DeleteBranches = false, bool SourceUntold = false);
