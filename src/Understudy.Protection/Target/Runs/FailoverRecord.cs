using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target.Runs;

/// <summary>How far a failover has come. Each step is durable before its first effect, so after a crash the step named
/// here may have happened in part and the one after it has not begun. docs/protocols/commit.md has the letters.</summary>
public enum FailoverStep
{
    /// <summary>Overlays, daemon and definition are being made; the old line still owns the VM, so all can be undone.</summary>
    Preparing,

    /// <summary>The new line is being minted: from here on only forward.</summary>
    TakingOver,

    /// <summary>The VM is being started.</summary>
    Starting,

    /// <summary>Commit pending: the VM runs on overlay over view.</summary>
    Running,

    /// <summary>What the dropped records touched is being noted, then they are dropped.</summary>
    Dropping,

    /// <summary>(a) The journal up to the point goes into the base.</summary>
    Applying,

    /// <summary>(b) The base is verified and from now on only read.</summary>
    Releasing,

    /// <summary>(c) Each disk moves onto an overlay over the base itself.</summary>
    Copying,

    /// <summary>(d) Views and daemons of this replica end.</summary>
    EndingViews,

    /// <summary>(e) The overlay is committed into the base.</summary>
    Merging,

    /// <summary>(f) The overlay's bitmap becomes a checkpoint of libvirt; what is left of the replica goes.</summary>
    Tracking,

    /// <summary>An ordinary VM on one ordinary image a disk.</summary>
    Committed,
}

/// <summary>An unplanned failover and its commit.</summary>
/// <param name="Line">Minted for this failover.</param>
/// <param name="Bitmap">Change tracking since the first boot, in every image the disks move through.</param>
public sealed record FailoverRecord(
    Guid Id,
    RecoveryPointId Point,
    LineId Line,
    string VmName,
    string Bitmap,
    IReadOnlyList<FailoverDisk> Disks,
    IReadOnlyList<Definition.CardPlan> Cards,
    DateTimeOffset StartedAt,
    FailoverStep Step);

/// <summary>A disk on its way: first overlay (over the view), second overlay (over the base), base.</summary>
public sealed record FailoverDisk(DiskId Disk, string TargetDevice, string Overlay, string SecondOverlay, string Base);
