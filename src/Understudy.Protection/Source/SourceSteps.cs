namespace Understudy.Protection.Source;

/// <summary>What the engine does next.</summary>
internal enum SourceStep
{
    /// <summary>Look at what the last run left and decide by <see cref="RecoveryRules"/>.</summary>
    Recover,

    /// <summary>The VM is owned here by a newer line than the state's: go on as that one.</summary>
    TakeOver,

    /// <summary>Speak with the target although there is nothing to send: it says who owns the VM.</summary>
    Contact,

    /// <summary>Send the pending cycle until the target has it durably. No cut is made before.</summary>
    Deliver,

    /// <summary>Ask the target where it stands; records cannot be numbered before.</summary>
    AskTarget,

    /// <summary>Ask the target what it holds of the next slice: no capture waits for the network.</summary>
    Compare,

    /// <summary>Cut and drain a cycle, or the next slice of a copy.</summary>
    Cut,

    /// <summary>Wait for the next cycle's time, or the first copy's, or to be resumed.</summary>
    Wait,
}

/// <summary>Who may write this source's line.</summary>
internal enum SourceHold
{
    /// <summary>This side does, by the line of the state.</summary>
    Owned,

    /// <summary>This side does, by a newer line.</summary>
    OwnedAnew,

    /// <summary>In transit, or the other side: nothing is cut or sent.</summary>
    Away,
}

/// <param name="Due">A point is, by the policy of now or by an order.</param>
/// <param name="IsEarly">The time at which the first copy begins has not come.</param>
/// <param name="Connected">A session with the target stands: it would tell at once of a newer line.</param>
/// <param name="IsFinal">The last change is ordered, from the disks of the VM that is off.</param>
/// <param name="LacksSums">The next slice is compared with what the target holds, and that is not at hand.</param>
internal readonly record struct SourceSituation(
    bool Recovered, SourceHold Hold, bool Due, bool IsEarly, bool Connected, bool IsFinal, bool LacksSums);

internal static class SourceSteps
{
    public static SourceStep Next(SourceState state, SourceSituation now) =>
        !now.Recovered ? SourceStep.Recover
        : now.Hold == SourceHold.OwnedAnew ? SourceStep.TakeOver
        : now.Hold == SourceHold.Away ? SourceStep.Contact
        : state.Pending is not null ? SourceStep.Deliver
        : !state.SequenceKnown ? SourceStep.AskTarget
        : now.IsFinal ? CutOr(now)
        : state.PausedBy is not null ? Rest(now)
        : now.IsEarly && state.HasNotBegun ? Rest(now)
        : state.Copy is not null || state.IsCopying || now.Due ? CutOr(now)
        : Rest(now);

    private static SourceStep CutOr(SourceSituation now) => now.LacksSums ? SourceStep.Compare : SourceStep.Cut;

    private static SourceStep Rest(SourceSituation now) => now.Connected ? SourceStep.Wait : SourceStep.Contact;
}
