using Understudy.Model;
using static Understudy.Plans.Verdict;

namespace Understudy.Plans;

public static partial class LifeCycle
{
    /// <summary>The states of this version, in the order of the table's columns.</summary>
    public static IReadOnlyList<ProtectionState> States { get; } =
    [
        ProtectionState.Unprotected, ProtectionState.Preparing, ProtectionState.FirstCopy, ProtectionState.Protected,
        ProtectionState.Resynchronising, ProtectionState.Paused, ProtectionState.TestRunning, ProtectionState.TargetFull,
        ProtectionState.FailingOver, ProtectionState.CommitPending, ProtectionState.FailedOver,
    ];

    /// <summary>Every command in every state. docs/operations/states.md shows it, and a test compares the two.</summary>
    private static readonly Dictionary<VmCommand, Verdict[]> _table = new()
#pragma warning disable IDE0055 // in columns by hand: it is read as a table
    {
        //                              unprotected preparing  first copy protected    resync.       paused        testing       full          failing over      pending   failed over
        [VmCommand.Protect]           = [Go,        Already,    Already,    Already,      Already,      Already,      Already,      Already,      Already,          Already,  Already],
        [VmCommand.Unprotect]         = [NoReplica, Go,         Go,         Go,           Go,           Go,           Tested,       Go,           Begun,            Pending,  Go],
        [VmCommand.Set]               = [NoReplica, Go,         Go,         Go,           Go,           Go,           Go,           Go,           Go,               Go,       Go],
        [VmCommand.Pause]             = [NoReplica, NotBegun,   Go,         Go,           Go,           Paused,       Go,           Go,           Begun,            AtTarget, AtTarget],
        [VmCommand.Resume]            = [NoReplica, NotBegun,   NotPaused,  NotPaused,    NotPaused,    Go,           NotPaused,    NotPaused,    Begun,            AtTarget, AtTarget],
        [VmCommand.Resync]            = [NoReplica, NotBegun,   Reading,    Go,           Reading,      Paused,       Go,           Full,         Begun,            AtTarget, AtTarget],
        [VmCommand.Mark]              = [NoReplica, NoPoint,    NoPoint,    Go,           Reading,      Paused,       Go,           Full,         Begun,            AtTarget, AtTarget],
        [VmCommand.Test]              = [NoReplica, NoPoint,    NoPoint,    Go,           Go,           Go,           Go,           Go,           Begun,            Go,       Go],
        [VmCommand.Promote]           = [NoReplica, NoTest,     NoTest,     NoTest,       Go,           Go,           Go,           Go,           Begun,            AtTarget, AtTarget],
        [VmCommand.PlannedFailover]   = [NoReplica, NoPoint,    NoPoint,    Go,           Reading,      Paused,       Go,           Full,         Begun,            AtTarget, AtTarget],
        [VmCommand.UnplannedFailover] = [NoReplica, NoPoint,    NoPoint,    Go,           Go,           Go,           Go,           Go,           GoUnlessStarting, AtTarget, AtTarget],
        [VmCommand.ChangePoint]       = [NoReplica, NotOver,    NotOver,    NotOver,      NotOver,      NotOver,      NotOver,      NotOver,      Begun,            Go,       Committed],
        [VmCommand.Cancel]            = [NoReplica, NotOver,    NotOver,    GoWhenFenced, GoWhenFenced, GoWhenFenced, GoWhenFenced, GoWhenFenced, GoWhenOwned,      Go,       Committed],
        [VmCommand.Commit]            = [NoReplica, NotOver,    NotOver,    NotOver,      NotOver,      NotOver,      NotOver,      NotOver,      Begun,            Go,       Committed],
        [VmCommand.Export]            = [NoReplica, NoPoint,    NoPoint,    Go,           Go,           Go,           Go,           Go,           Go,               Go,       Go],
        [VmCommand.Mount]             = [NoReplica, NoPoint,    NoPoint,    Go,           Go,           Go,           Go,           Go,           Go,               Go,       Go],
        [VmCommand.Attach]            = [NoReplica, NoPoint,    NoPoint,    Go,           Go,           Go,           Go,           Go,           Go,               Go,       Go],
        [VmCommand.Unmount]           = [NoReplica, NothingOut, NothingOut, Go,           Go,           Go,           Go,           Go,           Go,               Go,       Go],
        [VmCommand.Detach]            = [NoReplica, NothingOut, NothingOut, Go,           Go,           Go,           Go,           Go,           Go,               Go,       Go],
        [VmCommand.DeleteBranch]      = [GoWhenKept, NoBranch,  NoBranch,   Go,           Go,           Go,           Go,           Go,           Go,               Go,       Go],
        [VmCommand.Maintain]          = [NoReplica, NotBegun,   Go,         Go,           Go,           Go,           Go,           Go,           Begun,            AtTarget, AtTarget],
    };
#pragma warning restore IDE0055
}
