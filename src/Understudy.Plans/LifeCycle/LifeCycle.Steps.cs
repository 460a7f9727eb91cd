using System.Diagnostics;
using Understudy.Model;
using static Understudy.Plans.StepKind;

namespace Understudy.Plans;

public static partial class LifeCycle
{
    /// <summary>Steps of an unplanned failover that first tries to shut the source down and to send what is left (FO-2).</summary>
    public static IReadOnlyList<StepKind> UnplannedWithShutdown { get; } = [AssessSource, TryFenceSource, TryShutDownGuest, TryLastChange, StartAtTarget];

    /// <summary>
    /// Whether a job that ends a protection may still go its way. One that has done nothing yet and was made before the VM went to
    /// its target, or came home from there, would end another thing than it was given for; and while it is decided where the VM
    /// stays none can. One that has done its part at one side goes on at the other, whatever came to nothing meanwhile.
    /// </summary>
    public static bool IsStillTheEnd(IReadOnlyList<FlowStep> steps, ProtectionStage stage, SourceReport? source, TargetReport? target) =>
        stage != ProtectionStage.CommitPending
        && (steps.Any(step => step.State == StepState.Succeeded)
            || (stage != ProtectionStage.FailingOver
                && steps.Any(step => step.Kind == RetireSource) == StaysAtTarget(stage == ProtectionStage.FailedOver, Standing.IsOwnedAtSource(source, target))));

    /// <summary>
    /// Whether a job that came to nothing has lost its ground: a later one of the same protection has begun to move the VM as well. What is
    /// left of the older one (a hand-over with its number, a commit, a point) would be done to a VM that stands elsewhere since.
    /// </summary>
    /// <param name="later">What a job that was made after it does.</param>
    /// <param name="steps">How far that came: one that was refused by its first look has moved nothing.</param>
    public static bool IsOvertaken(JobAction retried, JobAction later, IReadOnlyList<FlowStep> steps) =>
        Moves(retried) && Moves(later) && steps.Any(step => step.State != StepState.Pending && step.Kind is not (CheckFailover or RunLastCycle or AssessSource));

    /// <summary>
    /// Why a job cannot be retried now. One that has nothing that could be half done is the command given anew: lawful when the command is,
    /// or when what it wants is so already and only the answer was lost. Null when nothing is in the way, and for actions that go on
    /// where they stopped.
    /// </summary>
    public static ErrorInfo? WhyNotAnew(VmSituation vm, JobAction retried)
    {
        (VmCommand Command, bool IsSo)? anew = retried switch
        {
            JobAction.Pause => (VmCommand.Pause, vm.State == ProtectionState.Paused),
            JobAction.Resume => (VmCommand.Resume, vm.State == ProtectionState.Protected),
            JobAction.Resync => (VmCommand.Resync, vm.State == ProtectionState.Resynchronising),
            JobAction.Mark => (VmCommand.Mark, false),
            _ => null,
        };
        return anew is { IsSo: false } given && Decide(vm, given.Command) is Decision.Refuse refusal ? refusal.Error : null;
    }

    private static bool Moves(JobAction action) => action is JobAction.PlannedFailover or JobAction.UnplannedFailover or JobAction.Promote
        or JobAction.ChangePoint or JobAction.Cancel or JobAction.Commit;

    private static bool StaysAtTarget(bool isFailedOver, bool isOwnedAtSource) => isFailedOver && !isOwnedAtSource;

    private static Decision.Go Job(VmSituation vm, VmCommand command) => command switch
    {
        VmCommand.Protect => new(JobAction.Protect, [CheckBothSides, CreateReplica, StartSource, FirstCopy]),
        // The side that may refuse comes first: a source that had let go of its record would never hear of a failover made there meanwhile.
        VmCommand.Unprotect => new(JobAction.Unprotect, StaysAtTarget(vm.State == ProtectionState.FailedOver, vm.OwnedAtSource) ? [RetireSource, RemoveReplica] : [RemoveReplica, StopSource]),
        VmCommand.Set => new(JobAction.Set, [SettingsAtSource, DisksAtSource, SettingsAtTarget]),
        VmCommand.Pause => new(JobAction.Pause, [PauseSource]),
        VmCommand.Resume => new(JobAction.Resume, [ResumeSource]),
        VmCommand.Resync => new(JobAction.Resync, [ResyncSource]),
        VmCommand.Mark => new(JobAction.Mark, [MarkPoint]),
        VmCommand.Test => new(JobAction.Test, [StartTest, AwaitTestCompletion, RemoveTest]),
        VmCommand.Promote => new(JobAction.Promote, [AssessSource, TryFenceSource, TryShutDownGuest, StartAtTarget]),
        VmCommand.PlannedFailover => new(
            JobAction.PlannedFailover, [CheckFailover, RunLastCycle, FenceSource, ShutDownGuest, SendLastChange, OfferVm, StartAtTarget, HandOver]),
        VmCommand.UnplannedFailover => new(JobAction.UnplannedFailover, [AssessSource, StartAtTarget]),
        VmCommand.ChangePoint => new(JobAction.ChangePoint, [ChangePointAtTarget]),
        VmCommand.Cancel => new(JobAction.Cancel, [EndAtTarget, AcceptAtSource, SettleTransfer]),
        VmCommand.Commit => new(JobAction.Commit, [CommitAtTarget]),
        VmCommand.Export => new(JobAction.Export, [ExportPoint]),
        VmCommand.Mount => new(JobAction.Mount, [MountPoint]),
        VmCommand.Attach => new(JobAction.Attach, [AttachPoint]),
        VmCommand.Unmount => new(JobAction.Unmount, [UnmountPoint]),
        VmCommand.Detach => new(JobAction.Detach, [DetachPoint]),
        VmCommand.DeleteBranch => new(JobAction.DeleteBranch, [StepKind.DeleteBranch]),
        VmCommand.Maintain => new(JobAction.Maintenance, vm.State is ProtectionState.Protected or ProtectionState.TestRunning
            ? [RunLastCycle, FenceForMaintenance, ShutDownGuest, SendLastChange, AwaitMaintenanceEnd, EndMaintenance]
            : [FenceForMaintenance, ShutDownGuest, AwaitMaintenanceEnd, EndMaintenance]),
        _ => throw new UnreachableException($"command {command}"),
    };
}
