using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;

namespace Understudy.Model;

[JsonConverter(typeof(JsonStringEnumConverter<BranchKind>))]
public enum BranchKind
{
    /// <summary>What ran at the target until the failover was cancelled.</summary>
    [JsonStringEnumMemberName("cancelled failover")] CancelledFailover,

    /// <summary>What ran at the target until the point was changed.</summary>
    [JsonStringEnumMemberName("changed point")] ChangedPoint,

    /// <summary>What a test had written when it was turned into a failover.</summary>
    [JsonStringEnumMemberName("promoted test")] PromotedTest,

    /// <summary>The old disks of a source whose VM was taken over elsewhere.</summary>
    [JsonStringEnumMemberName("deposed source")] DeposedSource,

    /// <summary>The old disks of a source whose VM stays at the target for good.</summary>
    [JsonStringEnumMemberName("retired source")] RetiredSource,
}

/// <summary>The kept state of a line that lost.</summary>
/// <param name="Point">The pinned point it stands on; null for the old disks of a source.</param>
/// <param name="ExpiresAt">Null: kept until it is deleted by name.</param>
/// <param name="Bytes">What it takes on disk.</param>
/// <param name="Disks">Its files on that host.</param>
/// <param name="UsedBy">Tests and mounts that stand on it; it cannot be deleted while there are any.</param>
public sealed record BranchInfo(
    BranchId Id,
    BranchKind Kind,
    LineId Line,
    RecoveryPointId? Point,
    DateTimeOffset KeptAt,
    DateTimeOffset? ExpiresAt,
    long Bytes,
    IReadOnlyList<string> Disks,
    IReadOnlyList<string> UsedBy,
    string? Label = null);

/// <summary>A point or branch given out on a host.</summary>
/// <param name="ToVm">The VM it is attached to; null when it is mounted as bare devices.</param>
/// <param name="Devices">Block devices of the host, or disks of the VM, in the order of the disks.</param>
public sealed record MountInfo(
    MountId Id,
    RecoveryPointId Point,
    BranchId? Branch,
    string? ToVm,
    bool Writable,
    IReadOnlyList<string> Devices,
    DateTimeOffset Since);
