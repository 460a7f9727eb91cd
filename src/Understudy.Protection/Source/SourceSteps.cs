namespace Understudy.Protection.Source;

/// <summary>What the engine does next.</summary>
internal enum SourceStep
{
    /// <summary>Look at what the last run left and decide by <see cref="RecoveryRules"/>.</summary>
    Recover,

    /// <summary>Send the pending cycle until the target has it durably. No cut is made before.</summary>
    Deliver,

    /// <summary>Ask the target where it stands; records cannot be numbered before.</summary>
    AskTarget,

    /// <summary>Cut and drain a cycle, or the next slice of a copy.</summary>
    Cut,

    /// <summary>Wait for the next cycle's time, or the first copy's.</summary>
    Wait,
}

internal static class SourceSteps
{
    /// <param name="due">A point is, by the policy of now.</param>
    /// <param name="isEarly">The time at which the first copy begins has not come.</param>
    public static SourceStep Next(bool recovered, SourceState state, bool due, bool isEarly) =>
        !recovered ? SourceStep.Recover
        : state.Pending is not null ? SourceStep.Deliver
        : !state.SequenceKnown ? SourceStep.AskTarget
        : isEarly && state.HasNotBegun ? SourceStep.Wait
        : state.Copy is not null || state.IsCopying || due ? SourceStep.Cut
        : SourceStep.Wait;
}
