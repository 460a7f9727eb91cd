using Understudy.Blocks.Identity;

namespace Understudy.Journal;

/// <summary>What an apply has done.</summary>
public abstract record ApplyOutcome
{
    private ApplyOutcome()
    {
    }

    /// <summary>The base holds this point now; nothing older is listed.</summary>
    public sealed record Applied(RecoveryPointId Point, long BlocksWritten) : ApplyOutcome;

    /// <summary>The base holds the wanted point, or a newer one, already.</summary>
    public sealed record NothingToDo : ApplyOutcome;

    /// <summary>
    /// The point lies after the one at which the current line begins, and waits to be dropped: applying it would lose the
    /// point that now owns the VM.
    /// </summary>
    public sealed record Diverged(RecoveryPointId Parent) : ApplyOutcome;

    /// <summary>The base does not hold the seed it begins with yet.</summary>
    public sealed record AwaitsSeed : ApplyOutcome;

    /// <summary>The base must not be changed any more.</summary>
    public sealed record BaseIsFinal(BaseStage Stage) : ApplyOutcome;
}
