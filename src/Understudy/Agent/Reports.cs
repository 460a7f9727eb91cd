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
        new(point.Id, point.CutAt, KindOf(point.Kind), point.Label.Length == 0 ? null : point.Label);

    /// <summary>A point that a later version cut with the file systems frozen is crash-consistent at least.</summary>
    private static PointKind KindOf(Journal.Records.PointKind kind) => kind switch
    {
        Journal.Records.PointKind.Crash or Journal.Records.PointKind.Application => PointKind.CrashConsistent,
        Journal.Records.PointKind.Planned => PointKind.Planned,
        Journal.Records.PointKind.Bookmark => PointKind.Bookmark,
        _ => throw new UnreachableException($"kind {kind}"),
    };

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

    /// <summary>What the images take on disk; 0 where the folder cannot be read just now.</summary>
    private static long BaseBytes(string folder)
    {
        try
        {
            return Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles().Sum(file => file.Length) : 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0; // A file that went while it was counted.
        }
    }
}
