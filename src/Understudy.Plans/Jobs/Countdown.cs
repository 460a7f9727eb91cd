using Understudy.Model;

namespace Understudy.Plans;

/// <summary>What a policy will do by itself, and when.</summary>
/// <param name="Does"><see cref="JobAction.Commit"/> or <see cref="JobAction.Cancel"/>.</param>
public readonly record struct Countdown(JobAction Does, DateTimeOffset At)
{
    /// <summary>
    /// Null when it is left to people. It follows from what is durable and from the policy as it is now, so it survives any
    /// restart and a change of the policy counts at once. A failover is cancelled by itself only where the VM was seen to run
    /// at its source and was shut down there in order: anything else may not start again.
    /// </summary>
    public static Countdown? Of(PendingFailover? pending, Policy policy) => (pending, policy) switch
    {
        (null, _) => null,
        (_, { CommitAfter: { } after }) => new Countdown(JobAction.Commit, pending.Since + after),
        ({ Kind: FailoverKind.Planned, RanAtSource: true }, { CancelAfter: { } after }) => new Countdown(JobAction.Cancel, pending.Since + after),
        _ => null,
    };
}
