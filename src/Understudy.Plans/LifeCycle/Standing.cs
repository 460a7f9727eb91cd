using System.Diagnostics;
using Understudy.Model;

namespace Understudy.Plans;

/// <summary>From what the vault decided and what the agents report to the one word people see, and back.</summary>
public static class Standing
{
    /// <summary>The state to show. Reports are null while the agent has not been heard.</summary>
    public static ProtectionState Of(ProtectionStage stage, SourceReport? source, TargetReport? target, int tests) => stage switch
    {
        ProtectionStage.Preparing => ProtectionState.Preparing,
        ProtectionStage.FailingOver => ProtectionState.FailingOver,
        ProtectionStage.CommitPending => ProtectionState.CommitPending,
        ProtectionStage.FailedOver => ProtectionState.FailedOver,
        ProtectionStage.Replicating => Replicating(source, target, tests),
        _ => throw new UnreachableException($"stage {stage}"),
    };

    /// <summary>
    /// The agents are right and the vault follows (design.md): what the target's report says about the stage, outside of
    /// a job. Null when it says nothing new.
    /// </summary>
    public static ProtectionStage? Reconcile(ProtectionStage stage, TargetReport report)
    {
        ProtectionStage reported = report.Phase switch
        {
            // An empty replica may stand before its source was started: only a job ends the preparation.
            TargetPhase.Receiving => stage == ProtectionStage.Preparing && report.PointCount == 0 ? ProtectionStage.Preparing : ProtectionStage.Replicating,
            TargetPhase.FailingOver => ProtectionStage.FailingOver,
            TargetPhase.CommitPending or TargetPhase.Committing => ProtectionStage.CommitPending,
            TargetPhase.FailedOver => ProtectionStage.FailedOver,
            _ => throw new UnreachableException($"phase {report.Phase}"),
        };
        return reported == stage ? null : reported;
    }

    private static ProtectionState Replicating(SourceReport? source, TargetReport? target, int tests)
    {
        bool hasPoints = target is { PointCount: > 0 } || source?.LastPoint is not null;
        if (!hasPoints)
        {
            return ProtectionState.FirstCopy;
        }

        if (source is { TargetFull: true })
        {
            return ProtectionState.TargetFull;
        }

        if (tests > 0)
        {
            return ProtectionState.TestRunning;
        }

        return source?.Phase == SourcePhase.Resynchronising ? ProtectionState.Resynchronising : ProtectionState.Protected;
    }
}
