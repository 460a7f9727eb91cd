using Understudy.Blocks.Identity;

namespace Understudy.Journal;

/// <summary>What became of a record offered to a replica. Only <see cref="Accepted"/> changed anything.</summary>
public abstract record AppendOutcome
{
    private AppendOutcome()
    {
    }

    /// <summary>In the journal; durable after the next flush.</summary>
    public sealed record Accepted : AppendOutcome
    {
        internal static Accepted Instance { get; } = new();
    }

    /// <summary>The replica has this sequence of this line already.</summary>
    public sealed record Duplicate : AppendOutcome
    {
        internal static Duplicate Instance { get; } = new();
    }

    /// <summary>Records are missing before this one.</summary>
    public sealed record Gap(ulong ExpectedSequence) : AppendOutcome;

    /// <summary>The record's line is not the one that owns this VM now: whoever sent it has been replaced.</summary>
    public sealed record StaleLine(LineId CurrentLine) : AppendOutcome;

    /// <summary>
    /// The current line begins at a point older than what the journal holds. Until the newer records have been dropped
    /// (<c>Replica.DropAfterAsync</c>), nothing can follow.
    /// </summary>
    public sealed record Diverged(RecoveryPointId Parent) : AppendOutcome;

    /// <summary>The bytes are not a record this replica can hold.</summary>
    public sealed record Corrupt(string What) : AppendOutcome;

    /// <summary>No space at the target. The same record can be offered again later.</summary>
    public sealed record Full(string What) : AppendOutcome;

    /// <summary>The replica takes no more records: its base is frozen or released for a commit.</summary>
    public sealed record Closed(string What) : AppendOutcome;
}
