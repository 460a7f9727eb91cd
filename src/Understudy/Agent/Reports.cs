using System.Diagnostics;
using Understudy.Journal;
using Understudy.Model;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;

namespace Understudy.Agent;

/// <summary>What stands at this host, in the control plane's words.</summary>
internal static class Reports
{
    public static RecoveryPointInfo Of(RecoveryPoint point) =>
        new(point.Id, point.CutAt, Of(point.Kind), point.Label.Length == 0 ? null : point.Label);

    public static TargetReport Of(ReplicaHostStatus status) => new(
        status.Spec.Vm,
        status.Spec.Replica,
        status.Replica?.Line ?? status.Failover?.Line ?? status.Spec.FirstLine,
        PhaseOf(status.Failover),
        status.Replica?.PointCount ?? 0,
        status.Replica?.Oldest is { } oldest ? Of(oldest) : null,
        status.Replica?.Newest is { } newest ? Of(newest) : null,
        status.Replica?.JournalBytes ?? 0,
        BaseBytes(status.Spec.ImageFolder),
        [.. status.Tests.Where(t => t.Step == TestStep.Running).Select(t => new TestId(t.Id))],
        status.Error is { } error ? ErrorOf(error) : null);

    /// <summary>An engine's fault that goes on being tried, as health shows it.</summary>
    public static ErrorInfo ErrorOf(Blocks.UnderstudyException error) => new(
        ErrorKind.Failed, error is Blocks.StorageException storage && storage.Kind == Blocks.FaultKind.Full ? "no-space" : "agent-retrying",
        error.Message.TrimEnd('.'), error.Class == Blocks.FaultClass.Transient ? "It is tried again by itself." : "Somebody has to act; it is tried again meanwhile.",
        error.Remedy ?? "See the agent's log.");

    private static TargetPhase PhaseOf(FailoverRecord? failover) => failover?.Step switch
    {
        null => TargetPhase.Receiving,
        < FailoverStep.Running => TargetPhase.FailingOver,
        FailoverStep.Running => TargetPhase.CommitPending,
        < FailoverStep.Committed => TargetPhase.Committing,
        FailoverStep.Committed => TargetPhase.FailedOver,
        _ => throw new UnreachableException($"step {failover.Step}"),
    };

    /// <summary>This version's sources cut crash-consistent points only; a replica written by a later one is refused before this.</summary>
    private static Model.PointKind Of(Journal.Records.PointKind kind) => kind == Journal.Records.PointKind.Crash
        ? Model.PointKind.CrashConsistent
        : throw new UnreachableException($"point kind {kind}");

    /// <summary>What the images take on disk (they are sparse); a file that goes while it is counted counts as nothing.</summary>
    private static long BaseBytes(string folder) => Directory.Exists(folder)
        ? new DirectoryInfo(folder).EnumerateFiles().Sum(file => file.Exists ? file.Length : 0)
        : 0;
}
