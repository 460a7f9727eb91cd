using System.Diagnostics;
using Understudy.Journal;
using Understudy.Model;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Mounts;
using Understudy.Protection.Target.Runs;

namespace Understudy.Agent;

/// <summary>What stands at this host, in the control plane's words.</summary>
internal static class Reports
{
    public static RecoveryPointInfo Of(RecoveryPoint point) =>
        new(point.Id, point.CutAt, KindOf(point.Kind), point.Label.Length == 0 ? null : point.Label);

    /// <summary>A point that a later version cut with the file systems frozen is crash-consistent at least.</summary>
    public static PointKind KindOf(Journal.Records.PointKind kind) => kind switch
    {
        Journal.Records.PointKind.Crash or Journal.Records.PointKind.Application => PointKind.CrashConsistent,
        Journal.Records.PointKind.Planned => PointKind.Planned,
        Journal.Records.PointKind.Bookmark => PointKind.Bookmark,
        _ => throw new UnreachableException($"kind {kind}"),
    };

    /// <param name="power">Of the VM here, as last seen.</param>
    /// <param name="sizeOf">What a file, or a folder of files, takes as measured last; it does not wait.</param>
    public static TargetReport Of(ReplicaHostStatus status, VmPower? power, Func<string, long> sizeOf) => new(
        status.Spec.Vm,
        status.Spec.Replica,
        status.Replica?.Line ?? status.Ownership.Line,
        PhaseOf(status.Failover),
        status.Replica?.PointCount ?? 0,
        status.Replica?.Oldest is { } oldest ? Of(oldest) : null,
        status.Replica?.Newest is { } newest ? Of(newest) : null,
        status.Replica?.JournalBytes ?? 0,
        sizeOf(status.Spec.ImageFolder),
        [.. status.Tests.Where(t => t.Step == TestStep.Running).Select(t => new TestId(t.Id))],
        status.IsLeaving ? Errors.ReplicaLeaving(status.Spec.VmName) : status.Error is { } error ? ErrorOf(error) : null,
        status.Waiting,
        Of(status.Ownership, status.IsValidated),
        status.Failover is { } failover ? Of(failover, power) : null,
        [.. status.Branches.Select(Of)],
        [.. status.Mounts.Where(mount => mount.Step != MountStep.Making).Select(Of)],
        status.Tests.ToDictionary(test => test.Id, test => test.Disks.Sum(disk => sizeOf(disk.Overlay))),
        status.Seed is { } seed ? new SeedProgress(seed.ReachedBytes, seed.OfBytes, seed.IsTaken, seed.Remarks) : null);

    private static MountInfo Of(MountRecord mount) => new(
        new MountId(mount.Id),
        mount.Point,
        mount.Branch,
        mount.ToVmName,
        mount.Writable,
        [.. mount.Disks.Select(disk => disk.Device ?? "")],
        mount.Since);

    public static BranchInfo Of(BranchStatus status) => new(
        status.Branch.Id,
        KindOf(status.Branch.Kind),
        status.Branch.Line,
        status.Branch.Point,
        status.Branch.KeptAt,
        status.Branch.ExpiresAt,
        status.Branch.Bytes,
        [.. status.Branch.Disks.Select(disk => disk.Overlay)],
        status.UsedBy,
        status.Branch.Label);

    private static FailoverInfo Of(FailoverRecord failover, VmPower? power) => new(
        failover.Point,
        failover.PointCutAt,
        failover.Transfer is null ? FailoverKind.Unplanned : FailoverKind.Planned,
        failover.StartedAt,
        failover.VmName,
        failover.Label,
        power);

    /// <summary>The side's record, as the vault reads it.</summary>
    public static OwnershipInfo Of(OwnershipRecord record, bool isValidated) => new(
        record.State switch
        {
            Protection.Ownership.OwnershipState.Here => Model.OwnershipState.Here,
            Protection.Ownership.OwnershipState.Offered => Model.OwnershipState.Offered,
            Protection.Ownership.OwnershipState.Elsewhere => Model.OwnershipState.Elsewhere,
            _ => throw new UnreachableException($"ownership {record.State}"),
        },
        record.Line,
        record.Since,
        record.State is Protection.Ownership.OwnershipState.Offered offered ? offered.Transfer : record.Accepted,
        new HostId(record.Peer),
        record.Parent,
        isValidated);

    private static Model.BranchKind KindOf(Protection.Target.Branches.BranchKind kind) => kind switch
    {
        Protection.Target.Branches.BranchKind.CancelledFailover => Model.BranchKind.CancelledFailover,
        Protection.Target.Branches.BranchKind.ChangedPoint => Model.BranchKind.ChangedPoint,
        Protection.Target.Branches.BranchKind.PromotedTest => Model.BranchKind.PromotedTest,
        _ => throw new UnreachableException($"branch {kind}"),
    };

    /// <summary>An engine's fault that goes on being tried, as health shows it.</summary>
    public static ErrorInfo ErrorOf(Blocks.UnderstudyException error) => new(
        ErrorKind.Failed, error is Blocks.StorageException storage && storage.Kind == Blocks.FaultKind.Full ? "no-space" : "agent-retrying",
        error.Message.TrimEnd('.'), error.Class == Blocks.FaultClass.Transient ? "It is tried again by itself." : "Somebody has to act; it is tried again meanwhile.",
        error.Remedy ?? "See the agent's log.");

    private static TargetPhase PhaseOf(FailoverRecord? failover) => failover?.Step switch
    {
        null => TargetPhase.Receiving,
        < FailoverStep.Running => TargetPhase.FailingOver,
        < FailoverStep.Applying => TargetPhase.CommitPending, // Also while it moves to another point, or back to its source.
        < FailoverStep.Committed => TargetPhase.Committing,
        FailoverStep.Committed => TargetPhase.FailedOver,
        _ => throw new UnreachableException($"step {failover.Step}"),
    };
}
