using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

public sealed record PointsRequest(ReplicaId Replica);

/// <param name="Points">Oldest first.</param>
/// <param name="Branches">Null means none.</param>
public sealed record PointsAnswer(IReadOnlyList<RecoveryPointInfo> Points, IReadOnlyList<BranchInfo>? Branches = null);

/// <summary>Target: write the disks of a point as ordinary files into a new or empty folder of that host.</summary>
/// <param name="Branch">Its state instead; <paramref name="Point"/> then is the point it stands on.</param>
/// <param name="Format">raw or qcow2.</param>
public sealed record PointExportRequest(ReplicaId Replica, RecoveryPointId Point, string Folder, string Format, BranchId? Branch = null);

public sealed record PointExported(IReadOnlyList<string> Files);

/// <summary>Target: show a point as bare block devices of that host.</summary>
/// <param name="Branch">As in <see cref="PointExportRequest"/>.</param>
/// <param name="Mount">Made by the asker, so that asking twice mounts once.</param>
/// <param name="Writable">Through an overlay that goes with the mount.</param>
public sealed record PointMountRequest(ReplicaId Replica, RecoveryPointId Point, BranchId? Branch, MountId Mount, bool Writable);

/// <param name="Devices">In the order of the disks.</param>
public sealed record PointMounted(IReadOnlyList<string> Devices);

/// <summary>Target: take the devices away. Asked for a mount that is gone, it says so and that is fine.</summary>
public sealed record PointUnmountRequest(ReplicaId Replica, MountId Mount);

/// <summary>Target: give a point to a VM of that host as extra disks.</summary>
/// <param name="Attach">Made by the asker, so that asking twice attaches once.</param>
/// <param name="ToVm">Name or id of a VM of that host.</param>
public sealed record PointAttachRequest(ReplicaId Replica, RecoveryPointId Point, BranchId? Branch, MountId Attach, string ToVm, bool Writable);

public sealed record PointDetachRequest(ReplicaId Replica, MountId Attach);

/// <summary>Target: delete a branch. Asked for one that is gone, it says so and that is fine.</summary>
public sealed record BranchDeleteRequest(ReplicaId Replica, BranchId Branch);
