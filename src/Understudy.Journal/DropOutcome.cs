namespace Understudy.Journal;

/// <summary>What became of a wish to drop records.</summary>
public abstract record DropOutcome
{
    private DropOutcome()
    {
    }

    /// <summary>Nothing newer than the point is there any more; what it had touched is noted durably.</summary>
    public sealed record Dropped(ulong FirstSequence, ulong LastSequence) : DropOutcome;

    /// <summary>There was nothing newer.</summary>
    public sealed record NothingToDo : DropOutcome;
}
