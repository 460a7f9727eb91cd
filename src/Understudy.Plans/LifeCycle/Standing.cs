using System.Diagnostics;
using Understudy.Blocks.Identity;
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
    /// The agents are right and the vault follows (design.md): what the reports say about the stage, outside of a job.
    /// Null when they say nothing new.
    /// </summary>
    /// <param name="source">Its last report, if any: a VM in transit is neither here nor there.</param>
    public static ProtectionStage? Reconcile(ProtectionStage stage, SourceReport? source, TargetReport target)
    {
        ProtectionStage reported = target.Phase switch
        {
            TargetPhase.Receiving when source?.Ownership is { State: OwnershipState.Offered } => ProtectionStage.FailingOver,

            // An empty replica may stand before its source was started: only a job ends the preparation.
            TargetPhase.Receiving => stage == ProtectionStage.Preparing && target.PointCount == 0 ? ProtectionStage.Preparing : ProtectionStage.Replicating,
            TargetPhase.FailingOver => ProtectionStage.FailingOver,
            TargetPhase.CommitPending => ProtectionStage.CommitPending,

            // A commit that has begun is final; its merges go on by themselves, however long they wait.
            TargetPhase.Committing or TargetPhase.FailedOver => ProtectionStage.FailedOver,
            _ => throw new UnreachableException($"phase {target.Phase}"),
        };
        return reported == stage ? null : reported;
    }

    /// <summary>The source has heard of an owner that the target's last report does not know of: what the vault has of the target is old.</summary>
    public static bool IsOvertaken(SourceReport? source, TargetReport? target) =>
        source?.Ownership is { State: OwnershipState.Elsewhere } heard && (target?.Ownership is not { } known || heard.Line.IsNewerThan(known.Line));

    /// <summary>The source owns the VM by its own record, and the target's says so too.</summary>
    public static bool IsOwnedAtSource(SourceReport? source, TargetReport? target) =>
        source?.Ownership is { State: OwnershipState.Here } && target?.Ownership is { State: OwnershipState.Elsewhere };

    /// <summary>
    /// A source that was away was to leave its old VM blocked when its protection ended, and refuses: it was claimed there by hand, and owns
    /// the VM by a newer line than the one that stays at the other side. Asked again it refuses again; what is left is to end the protection
    /// there as well, and to say so.
    /// </summary>
    /// <param name="owner">The line it was told of; null when nobody could name one: then it has not heard of its successor.</param>
    /// <param name="refusal">The code of the refusal.</param>
    /// <param name="source">What it reports.</param>
    public static bool WasClaimedMeanwhile(LineId? owner, string refusal, SourceReport? source) =>
        refusal == "not-failed-over" && owner is { } told && source?.Ownership is { State: OwnershipState.Here } claimed && claimed.Line.IsNewerThan(told);

    /// <summary>What the user may be waited for, beside the state.</summary>
    /// <param name="countdown">A policy will commit or cancel by itself.</param>
    /// <param name="atRest">The VM is off for the maintenance of its host.</param>
    public static ProtectionWait WaitOf(ProtectionState state, TargetReport? target, bool countdown, bool atRest = false) => state switch
    {
        _ when atRest => ProtectionWait.Maintenance,
        ProtectionState.CommitPending => countdown ? ProtectionWait.Countdown : ProtectionWait.Commit,
        ProtectionState.FailedOver when target?.Waiting is not null && target.Failover?.Power is not (VmPower.Off or VmPower.Crashed) => ProtectionWait.Pin,
        _ => ProtectionWait.None,
    };

    /// <summary>Who waits most for somebody comes first: a pause explains why nothing else goes on.</summary>
    private static ProtectionState Replicating(SourceReport? source, TargetReport? target, int tests)
    {
        bool hasPoints = target is { PointCount: > 0 } || source?.LastPoint is not null;
        return source switch
        {
            { PausedBy: not null } => ProtectionState.Paused,
            _ when !hasPoints => ProtectionState.FirstCopy,
            { TargetFull: true } => ProtectionState.TargetFull,
            _ when tests > 0 => ProtectionState.TestRunning,
            { Phase: SourcePhase.Resynchronising } => ProtectionState.Resynchronising,
            _ => ProtectionState.Protected,
        };
    }
}
