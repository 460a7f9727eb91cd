using System.Diagnostics;
using Understudy.Model;
using static Understudy.Plans.Verdict;

namespace Understudy.Plans;

public static partial class LifeCycle
{
    private static ErrorInfo Refusal(VmSituation vm, VmCommand command, Verdict verdict)
    {
        if (verdict == NoReplica)
        {
            return Errors.NotProtected(vm.Vm);
        }

        if (verdict == Already)
        {
            return Errors.AlreadyProtected(vm.Vm, vm.Target ?? "another host");
        }

        (string why, string next) = Words(vm, verdict);
        return Errors.NotNow(vm.Vm, WordOf(command), vm.State, why, next);
    }

    private static (string Why, string Next) Words(VmSituation vm, Verdict verdict) => verdict switch
    {
        NoPoint when vm.State == ProtectionState.FailedOver
            => ("its points were merged when the failover was committed", "The VM's own disks hold what there is."),
        NoPoint => ("it has no recovery point yet", $"Wait for the first copy: {Typed.Command("vm show", vm.Vm)}."),
        NotBegun => ("replication has not begun", "Wait for its job, or retry it: `understudy job list` names it."),
        Reading => ("its disks are being read", $"Wait for the end of it: {Typed.Command("vm show", vm.Vm)} says how long."),
        Verdict.Paused => ($"replication is paused by {vm.PausedBy ?? "somebody"}", $"{Typed.Command("vm resume", vm.Vm)} comes first."),
        NotPaused => ("replication is not paused", $"See {Typed.Command("vm show", vm.Vm)}."),
        Full => ($"host {vm.Target} has no space for more", "Free space there, or shorten the retention of its policy."),
        NoTest => ("no test of it stands", $"{Typed.Command("vm test", vm.Vm)} starts one."),
        Tested => ("a test of it stands on the replica", "Complete the test first: `understudy job list` names it."),
        Verdict.Mounted => ("a point of it is mounted or attached", $"{Typed.Command("vm show", vm.Vm)} names it; unmount or detach it first."),
        Branched => ($"{Count(vm.TargetBranches, "branch", "branches")} of it would go with the replica",
            $"Export or delete {(vm.TargetBranches == 1 ? "it" : "them")} by name first: {Typed.Command("point list", vm.Vm)}."),
        Merging => ($"the VM still stands on the replica: {vm.MergeWaits}", "End that use first; the last merge then is made by itself."),
        Begun => ("a failover has begun and not ended", "Retry or cancel its job: `understudy job list` names it."),
        AtTarget => ($"the VM is being run at {vm.Target}", $"See {Typed.Command("vm show", vm.Vm)}."),
        NotOver => ("there is no failover that is not committed", $"{Typed.Command("vm failover", vm.Vm)} comes first."),
        Pending => ("the VM at the target still stands on the replica", $"Commit or cancel first: {Typed.Command("vm commit", vm.Vm)}, {Typed.Command("vm cancel", vm.Vm)}."),
        Committed => ("its failover is committed", "There is nothing left to do."),
        NothingOut => ("nothing of it is mounted or attached", $"See {Typed.Command("vm show", vm.Vm)}."),
        NoBranch => ("it has no branch", $"See {Typed.Command("point list", vm.Vm)}."),
        _ => throw new UnreachableException($"verdict {verdict}"),
    };

    /// <summary>For the page: the words of a cell, of a VM called VM whose replica is at TARGET.</summary>
    internal static (string Why, string Next) Explain(Verdict verdict)
    {
        VmSituation vm = new() { Vm = "VM", State = ProtectionState.Protected, Target = "TARGET", PausedBy = "USER", TargetBranches = 2, MergeWaits = "a branch needs the image" };
        return verdict switch
        {
            NoReplica => ("it is not protected", "`understudy vm protect VM --to HOST`"),
            Already => ("it is protected already", "`understudy vm show VM`"),
            GoWhenFenced => ("yes while the source is fenced by a failover that did not happen, which opens the fence; else *no failover*", ""),
            GoWhenOwned => ("yes when the target owns the VM already; else *begun*", ""),
            GoUnlessStarting => ("yes; *begun* while the target is starting it", ""),
            GoWhenKept => ("yes for the old disks of a source that are kept; else *none*", ""),
            _ => Words(vm, verdict),
        };
    }

    private static string Count(int number, string one, string many) => number == 1 ? $"1 {one}" : $"{number} {many}";
}
