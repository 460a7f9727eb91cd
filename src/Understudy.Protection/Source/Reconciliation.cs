namespace Understudy.Protection.Source;

/// <summary>What the target's flushed sequence means for us, asked at every connection.</summary>
internal enum Reconciliation
{
    /// <summary>It stands where we thought, or somewhere inside the pending cycle: send what follows.</summary>
    Resume,

    /// <summary>A cycle had been given up; now the next sequence is known.</summary>
    Learn,

    /// <summary>It has less than it had acknowledged: its storage lost something, or an old copy was put in its place.</summary>
    TargetLost,

    /// <summary>It has more than we ever made: our state is older than the replica, or new while the replica is not.</summary>
    TargetAhead,
}

internal static class ReconciliationRules
{
    public static Reconciliation Decide(SourceState state, ulong flushedSequence) =>
        flushedSequence < state.AcknowledgedSequence ? Reconciliation.TargetLost
        : flushedSequence > state.UsedSequence ? Reconciliation.TargetAhead
        : state.SequenceKnown ? Reconciliation.Resume
        : Reconciliation.Learn;
}
