using System.Diagnostics;
using Understudy.Model;
using static Understudy.Model.ProtectionState;

namespace Understudy.Plans;

/// <summary>
/// Which command is lawful when. A table: every pair of command and state has its row, and a test walks all of them
/// (docs/operations/states.md shows it to users).
/// </summary>
public static class LifeCycle
{
    private static readonly StepKind[] _protect = [StepKind.CheckBothSides, StepKind.CreateReplica, StepKind.StartSource, StepKind.FirstCopy];
    private static readonly StepKind[] _test = [StepKind.StartTest, StepKind.AwaitTestCompletion, StepKind.RemoveTest];
    private static readonly StepKind[] _failover = [StepKind.AssessSource, StepKind.StartAtTarget];
    private static readonly StepKind[] _commit = [StepKind.CommitAtTarget];
    private static readonly StepKind[] _unprotect = [StepKind.StopSource, StepKind.RemoveReplica];
    private static readonly StepKind[] _export = [StepKind.ExportPoint];

    public static Decision Decide(VmSituation vm, VmCommand command) => command switch
    {
        VmCommand.Protect => Protect(vm),
        VmCommand.Test => Test(vm),
        VmCommand.UnplannedFailover => Failover(vm),
        VmCommand.Commit => Commit(vm),
        VmCommand.Unprotect => Unprotect(vm),
        VmCommand.Export => Export(vm),
        _ => throw new UnreachableException($"command {command}"),
    };

    private static Decision Protect(VmSituation vm) => vm.State switch
    {
        Unprotected => new Decision.Go(JobAction.Protect, _protect),
        Preparing or FirstCopy or Protected or Resynchronising or TestRunning or TargetFull or FailingOver or CommitPending or FailedOver
            => new Decision.Refuse(Errors.AlreadyProtected(vm.Vm, vm.Target ?? "another host")),
        _ => throw Unknown(vm),
    };

    private static Decision Test(VmSituation vm) => vm.State switch
    {
        Unprotected => new Decision.Refuse(Errors.NotProtected(vm.Vm)),
        Preparing or FirstCopy => NoPointYet(vm, "test"),
        Protected or Resynchronising or TestRunning or TargetFull => vm.HasPoints ? new Decision.Go(JobAction.Test, _test) : NoPointYet(vm, "test"),
        FailingOver or CommitPending or FailedOver => RunsAtTarget(vm, "test"),
        _ => throw Unknown(vm),
    };

    private static Decision Failover(VmSituation vm) => vm.State switch
    {
        Unprotected => new Decision.Refuse(Errors.NotProtected(vm.Vm)),
        Preparing or FirstCopy => NoPointYet(vm, "failover"),
        Protected or Resynchronising or TestRunning or TargetFull
            => vm.HasPoints ? new Decision.Go(JobAction.UnplannedFailover, _failover) : NoPointYet(vm, "failover"),
        FailingOver => Refuse(vm, "failover", "a failover has begun and not ended", "Retry its job: `understudy job list` names it."),
        CommitPending or FailedOver => RunsAtTarget(vm, "failover"),
        _ => throw Unknown(vm),
    };

    private static Decision Commit(VmSituation vm) => vm.State switch
    {
        Unprotected => new Decision.Refuse(Errors.NotProtected(vm.Vm)),
        CommitPending => new Decision.Go(JobAction.Commit, _commit),
        FailedOver => Refuse(vm, "commit", "its failover is committed already", "There is nothing left to do."),
        FailingOver => Refuse(vm, "commit", "the VM does not run at the target yet", "Wait for the failover, or retry its job."),
        Preparing or FirstCopy or Protected or Resynchronising or TestRunning or TargetFull
            => Refuse(vm, "commit", "there is no failover to commit", $"`understudy vm failover {vm.Vm}` comes first."),
        _ => throw Unknown(vm),
    };

    private static Decision Unprotect(VmSituation vm) => vm.State switch
    {
        Unprotected => new Decision.Refuse(Errors.NotProtected(vm.Vm)),
        Preparing or FirstCopy or Protected or Resynchronising or TargetFull or FailedOver when vm.Tests == 0
            => new Decision.Go(JobAction.Unprotect, _unprotect),
        TestRunning or Preparing or FirstCopy or Protected or Resynchronising or TargetFull or FailedOver
            => Refuse(vm, "unprotect", "a test of it stands on the replica", "Complete the test first: `understudy job list` names it."),
        FailingOver => Refuse(vm, "unprotect", "a failover has begun and not ended", "Retry its job, then commit."),
        CommitPending => Refuse(vm, "unprotect", "the VM at the target still stands on the replica", $"Commit first: `understudy vm commit {vm.Vm}`."),
        _ => throw Unknown(vm),
    };

    private static Decision Export(VmSituation vm) => vm.State switch
    {
        Unprotected => new Decision.Refuse(Errors.NotProtected(vm.Vm)),
        Preparing or FirstCopy => NoPointYet(vm, "export"),
        Protected or Resynchronising or TestRunning or TargetFull or FailingOver or CommitPending
            => vm.HasPoints ? new Decision.Go(JobAction.Export, _export) : NoPointYet(vm, "export"),
        FailedOver => Refuse(vm, "export", "its points were merged when the failover was committed", "The VM's own disks hold what there is."),
        _ => throw Unknown(vm),
    };

    private static Decision.Refuse NoPointYet(VmSituation vm, string command) =>
        Refuse(vm, command, "it has no recovery point yet", $"Wait for the first copy: `understudy vm show {vm.Vm}`.");

    private static Decision.Refuse RunsAtTarget(VmSituation vm, string command) =>
        Refuse(vm, command, $"the VM is being run at {vm.Target}", $"See `understudy vm show {vm.Vm}`.");

    private static Decision.Refuse Refuse(VmSituation vm, string command, string why, string next) =>
        new(Errors.NotNow(vm.Vm, command, vm.State, why, next));

    private static UnreachableException Unknown(VmSituation vm) => new($"state {vm.State}");
}
