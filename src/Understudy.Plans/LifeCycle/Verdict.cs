namespace Understudy.Plans;

/// <summary>One cell of the life cycle's table. What follows from each is in <see cref="LifeCycle"/>.</summary>
internal enum Verdict
{
    Go,

    // Lawful in some situations of that state.
    GoWhenFenced,
    GoWhenOwned,
    GoUnlessStarting,
    GoWhenKept,

    // Refusals.
    NoReplica,
    Already,
    NoPoint,
    NotBegun,
    Reading,
    Paused,
    NotPaused,
    Full,
    NoTest,
    Tested,
    Begun,
    AtTarget,
    NotOver,
    Pending,
    Committed,
    NothingOut,
    NoBranch,
    Mounted,
    Branched,
    Merging,
}
