using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target.Branches;

/// <summary>What the kept state is of.</summary>
public enum BranchKind
{
    /// <summary>What ran here until the failover was cancelled.</summary>
    CancelledFailover,

    /// <summary>What ran here until the point was changed.</summary>
    ChangedPoint,

    /// <summary>What a test had written when it was turned into a failover.</summary>
    PromotedTest,
}

public enum BranchStep
{
    Kept,

    /// <summary>Anything of it may be gone.</summary>
    Deleting,
}

/// <summary>
/// The kept state of a line that lost: overlays over a pinned point, never written again. It has the id of the run that
/// wrote it, and with that its overlays', its pin's and its daemon's names.
/// </summary>
/// <param name="Line">The line that ran; of a test the point's own.</param>
/// <param name="Disks">What was written, over the point's views.</param>
/// <param name="Bytes">What the overlays take, as they were kept.</param>
/// <param name="EndedBy">The hand-over that ended it, for a cancelled failover.</param>
public sealed record BranchRecord(
    BranchId Id,
    BranchKind Kind,
    RecoveryPointId Point,
    LineId Line,
    IReadOnlyList<RunDisk> Disks,
    DateTimeOffset KeptAt,
    DateTimeOffset ExpiresAt,
    long Bytes,
    string? Label,
    TransferId? EndedBy,
    BranchStep Step)
{
    /// <summary>As the vault names it too: what it was, and when it was kept.</summary>
    [JsonIgnore]
    public string Name => string.Create(CultureInfo.InvariantCulture, $"{WordOf(Kind)}-{KeptAt.UtcDateTime:yyyyMMdd-HHmmss}");

    private static string WordOf(BranchKind kind) => kind switch
    {
        BranchKind.CancelledFailover => "cancelled",
        BranchKind.ChangedPoint => "changed",
        BranchKind.PromotedTest => "promoted",
        _ => throw new UnreachableException($"branch {kind}"),
    };
}

/// <summary>A branch with what stands on it now.</summary>
public sealed record BranchStatus(BranchRecord Branch, IReadOnlyList<string> UsedBy);
