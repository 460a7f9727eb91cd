using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target.Mounts;

public enum MountStep
{
    /// <summary>Everything it will make has been named; anything of it may exist.</summary>
    Making,

    Standing,

    /// <summary>Being taken away; anything of it may be gone.</summary>
    Removing,
}

/// <summary>
/// A point or branch given out: as bare block devices of this host, or as disks of one of its VMs (TST-3). Durable before the
/// first thing is made, so that whatever a crash leaves behind is found by this file alone.
/// </summary>
/// <param name="Id">Given by whoever ordered it; the same id again is the same mount.</param>
/// <param name="Point">The point itself, or the one that the branch stands on.</param>
/// <param name="ToVm">The VM that has it as disks; null when this host has it as devices.</param>
/// <param name="Writable">What is written goes to an overlay that goes with the mount.</param>
public sealed record MountRecord(
    Guid Id,
    RecoveryPointId Point,
    BranchId? Branch,
    VmId? ToVm,
    string? ToVmName,
    bool Writable,
    IReadOnlyList<MountDisk> Disks,
    DateTimeOffset Since,
    MountStep Step);

/// <param name="TargetDevice">Its name at the VM that was replicated.</param>
/// <param name="Overlay">Null where nothing is written.</param>
/// <param name="Device">The block device, or the name that the disk has at the VM it was given to; null until it has one.</param>
public sealed record MountDisk(DiskId Disk, string TargetDevice, long SizeBytes, string? Overlay, string? Device);

/// <summary>An order to give out a point, or a branch of one.</summary>
/// <param name="ToVm">Name or id of a VM of this host that runs; null for bare block devices.</param>
public sealed record MountOrder(Guid Id, RecoveryPointId Point, BranchId? Branch, string? ToVm, bool Writable);
