using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Runs;

/// <summary>A failover, its way back and its commit; durable before each step.</summary>
/// <param name="Transfer">The hand-over that is accepted; null for an unplanned failover.</param>
/// <param name="FromTest">The test it was made of.</param>
/// <param name="Line">Minted for this failover.</param>
/// <param name="Bitmap">Change tracking since the first boot, in every image the disks move through.</param>
/// <param name="StartedAt">When the VM came to run here; a change of the point does not move it.</param>
/// <param name="Leave">Set while the VM is being taken off this overlay.</param>
/// <param name="IsMove">It is another point of a VM that was owned here already: should that be lost before the token is
/// renewed, nobody has given his word to claim it back.</param>
public sealed record FailoverRecord(
    Guid Id,
    TransferId? Transfer,
    Guid? FromTest,
    RecoveryPointId Point,
    DateTimeOffset PointCutAt,
    LineId Line,
    string VmName,
    string Bitmap,
    IReadOnlyList<FailoverDisk> Disks,
    IReadOnlyList<CardPlan> Cards,
    VmSize Size,
    int BranchDays,
    string? Label,
    DateTimeOffset StartedAt,
    FailoverStep Step,
    FailoverLeave? Leave = null,
    bool IsMove = false);

/// <summary>A disk on its way: first overlay (over the view), second overlay (over the base), base.</summary>
public sealed record FailoverDisk(DiskId Disk, string TargetDevice, string Overlay, string SecondOverlay, string Base);

/// <summary>Why the VM leaves its overlay: another point (<paramref name="Next"/>), or the source has it back
/// (<paramref name="Back"/>); exactly one of them.</summary>
/// <param name="From">The step in which the order found it; an undone change of the point goes back there.</param>
/// <param name="BranchDays">How long what it wrote is kept.</param>
public sealed record FailoverLeave(FailoverStep From, int BranchDays, FailoverRecord? Next, GiveBack? Back);

/// <param name="Transfer">Null when the source was not asked: somebody has claimed the VM there.</param>
/// <param name="Line">Minted for the source, or by it.</param>
/// <param name="Parent">The point it begins after.</param>
public sealed record GiveBack(TransferId? Transfer, Guid To, LineId Line, RecoveryPointId Parent);
