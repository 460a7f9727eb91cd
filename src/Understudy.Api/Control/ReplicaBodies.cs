using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>Target: make an empty replica that accepts the source. Asked for one that exists, it answers as at first.</summary>
/// <param name="TargetName">Name the VM gets when it is failed over.</param>
/// <param name="Source">The only host whose certificate may send.</param>
/// <param name="Disks">For the space check; the truth comes with the stream.</param>
/// <param name="Seeds">What stands on this host already, so that only what differs travels; null for nothing.</param>
/// <param name="SourceEndpoint">Where the source's agent is dialled, "name:port"; null where that one dials (REG-3).</param>
/// <param name="Pool">The storage pool it is made in; null for the agent's own folders.</param>
public sealed record ReplicaCreateRequest(
    VmId Vm,
    string VmName,
    ReplicaId Replica,
    HostId Source,
    string TargetName,
    IReadOnlyList<DiscoveredDisk> Disks,
    ReplicaSettings Settings,
    IReadOnlyList<DiskSeed>? Seeds = null,
    string? SourceEndpoint = null,
    string? Pool = null);

/// <summary>Target: whether a first copy can begin with these. Nothing is made or changed.</summary>
public sealed record SeedCheckRequest(IReadOnlyList<DiscoveredDisk> Disks, IReadOnlyList<DiskSeed> Seeds);

/// <param name="Found">What each disk would begin with, a sentence each.</param>
public sealed record SeedCheckAnswer(IReadOnlyList<string> Found);

/// <param name="TargetDevice">By its device at the guest; null for the folder of an old replica, which knows its disks, and for
/// the image of a VM with one disk.</param>
/// <param name="Path">An image of any format that QEMU reads, a block device, or the folder of an old replica.</param>
/// <param name="ImageFolder">Where an old replica's base images are now; null for where its host had them.</param>
public sealed record DiskSeed(string? TargetDevice, string Path, string? ImageFolder = null);

/// <summary>Target: who dials from now on. A session that stands goes on until its connection ends.</summary>
/// <param name="SourceEndpoint">Where the source's agent is dialled; null where that one dials.</param>
public sealed record TargetLinkRequest(ReplicaId Replica, string? SourceEndpoint);

/// <param name="Recovery">How the VM is to run there; null leaves what was said before.</param>
public sealed record ReplicaSettings(TimeSpan Retention, RecoverySettings? Recovery = null);

/// <param name="Made">What stands on the host because of it, one line each.</param>
public sealed record ReplicaCreated(LineId Line, IReadOnlyList<string> Made);

/// <summary>Target: settings of a replica that exists; taken up without starting over.</summary>
public sealed record ReplicaConfigureRequest(ReplicaId Replica, ReplicaSettings Settings);

/// <summary>Target: remove the replica; a VM that was failed over and committed stays as an ordinary VM.</summary>
/// <param name="DeleteBranches">What ran and lost may go with it; otherwise branches are in the way, and named.</param>
/// <param name="SourceUntold">The VM stays here, and its source is away and has not heard of it: it is told when it calls.</param>
/// <param name="AtSource">The protection ends with the VM at its source: refused where it was failed over to here and committed, of which
/// whoever asks has not heard.</param>
public sealed record TargetUnprotectRequest(VmId Vm, ReplicaId Replica, bool DeleteBranches = false, bool SourceUntold = false, bool AtSource = false);
