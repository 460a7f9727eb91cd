using System.Diagnostics;
using Understudy.Model;
using static Understudy.Plans.Verdict;

namespace Understudy.Plans;

/// <summary>
/// Which command is lawful when: one table of every state and command (LifeCycle.Table.cs), what a command needs beside its
/// state, and the words of each refusal. Pure, so a test walks all of it and docs/operations/states.md is printed from it.
/// </summary>
public static partial class LifeCycle
{
    public static Decision Decide(VmSituation vm, VmCommand command)
    {
        Verdict verdict = Settle(Look(vm.State, command), vm);
        verdict = verdict == Go ? Missing(vm, command) : verdict;
        return verdict == Go ? Job(vm, command) : new Decision.Refuse(Refusal(vm, command, verdict));
    }

    /// <summary>What the user types for a command.</summary>
    public static string WordOf(VmCommand command) => command switch
    {
        VmCommand.Protect => "protect",
        VmCommand.Unprotect => "unprotect",
        VmCommand.Set => "set",
        VmCommand.Pause => "pause",
        VmCommand.Resume => "resume",
        VmCommand.Resync => "resync",
        VmCommand.Mark => "point mark",
        VmCommand.Test => "test",
        VmCommand.Promote => "test --promote",
        VmCommand.PlannedFailover => "failover",
        VmCommand.UnplannedFailover => "failover --unplanned",
        VmCommand.ChangePoint => "change-point",
        VmCommand.Cancel => "cancel",
        VmCommand.Commit => "commit",
        VmCommand.Export => "point export",
        VmCommand.Mount => "point mount",
        VmCommand.Attach => "point attach",
        VmCommand.Unmount => "point unmount",
        VmCommand.Detach => "point detach",
        VmCommand.DeleteBranch => "point delete",
        VmCommand.Maintain => "host maintenance",
        _ => throw new UnreachableException($"command {command}"),
    };

    internal static Verdict Look(ProtectionState state, VmCommand command)
    {
        for (int column = 0; column < States.Count; column++)
        {
            if (States[column] == state)
            {
                return _table[command][column];
            }
        }

        throw new UnreachableException($"state {state}");
    }

    /// <summary>The cells that need a second look at the situation.</summary>
    private static Verdict Settle(Verdict verdict, VmSituation vm) => verdict switch
    {
        GoWhenFenced => vm.Fenced ? Go : NotOver,
        GoWhenOwned => vm.OwnedAtTarget ? Go : Begun,
        GoUnlessStarting => vm.StartsAtTarget ? Begun : Go,
        GoWhenKept => vm.SourceBranches > 0 ? Go : NoReplica,
        _ => verdict,
    };

    /// <summary>What a command needs beside a state that allows it.</summary>
    private static Verdict Missing(VmSituation vm, VmCommand command) => command switch
    {
        VmCommand.Test or VmCommand.Export or VmCommand.Mount or VmCommand.Attach => vm.HasPoints || vm.TargetBranches > 0 ? Go : NoPoint,
        VmCommand.PlannedFailover or VmCommand.UnplannedFailover or VmCommand.ChangePoint => vm.HasPoints ? Go : NoPoint,
        VmCommand.Promote => vm.Tests > 0 ? Go : NoTest,
        VmCommand.Unmount => vm.Mounts > 0 ? Go : NothingOut,
        VmCommand.Detach => vm.Attached > 0 ? Go : NothingOut,
        VmCommand.DeleteBranch => vm.TargetBranches + vm.SourceBranches > 0 ? Go : NoBranch,
        VmCommand.Unprotect when vm.Overtaken && vm.State != ProtectionState.FailedOver => AtTarget,
        VmCommand.Unprotect when vm.Tests > 0 => Tested,
        VmCommand.Unprotect when vm.Mounts + vm.Attached > 0 => Verdict.Mounted,
        VmCommand.Unprotect when vm.TargetBranches > 0 => Branched,
        VmCommand.Unprotect when vm is { State: ProtectionState.FailedOver, OwnedAtSource: false, MergeWaits: not null } => Merging,
        _ => Go,
    };
}
