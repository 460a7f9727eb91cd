using System.Diagnostics;
using Understudy.Plans;
using Understudy.Vault.Jobs.Steps;

namespace Understudy.Vault.Jobs;

/// <summary>
/// Does the single steps. Each may be begun again after a restart of the vault: what it asks of agents has the step's
/// operation id, and what it writes here is the same when written twice.
/// </summary>
internal sealed class StepExecutor(
    ProtectSteps protect, ReplicationSteps replication, RecoverySteps recovery, PlannedSteps planned, TrySteps attempts, ReturnSteps home, PointSteps points,
    MaintenanceSteps maintenance)
{
    public Task<StepResult> RunAsync(StepKind kind, StepRun run, CancellationToken cancel, CancellationToken stopping) => kind switch
    {
        StepKind.CheckBothSides => protect.CheckBothSidesAsync(run, cancel, stopping),
        StepKind.CreateReplica => protect.CreateReplicaAsync(run, cancel, stopping),
        StepKind.StartSource => protect.StartSourceAsync(run, cancel, stopping),
        StepKind.FirstCopy => protect.FirstCopyAsync(run, cancel, stopping),
        StepKind.StopSource => protect.StopSourceAsync(run, cancel, stopping),
        StepKind.RetireSource => protect.RetireSourceAsync(run, cancel, stopping),
        StepKind.RemoveReplica => protect.RemoveReplicaAsync(run, cancel, stopping),
        StepKind.SettingsAtSource => replication.SettingsAtSourceAsync(run, cancel, stopping),
        StepKind.DisksAtSource => replication.DisksAtSourceAsync(run, cancel, stopping),
        StepKind.SettingsAtTarget => replication.SettingsAtTargetAsync(run, cancel, stopping),
        StepKind.PauseSource => replication.PauseAsync(run, cancel, stopping),
        StepKind.ResumeSource => replication.ResumeAsync(run, cancel, stopping),
        StepKind.ResyncSource => replication.ResyncAsync(run, cancel, stopping),
        StepKind.MarkPoint => replication.MarkAsync(run, cancel, stopping),
        StepKind.StartTest => recovery.StartTestAsync(run, cancel, stopping),
        StepKind.RemoveTest => recovery.RemoveTestAsync(run, cancel, stopping),
        StepKind.CheckFailover => planned.CheckFailoverAsync(run, cancel, stopping),
        StepKind.RunLastCycle => planned.RunLastCycleAsync(run, cancel, stopping),
        StepKind.FenceSource => planned.FenceSourceAsync(run, cancel, stopping),
        StepKind.ShutDownGuest => planned.ShutDownGuestAsync(run, cancel, stopping),
        StepKind.SendLastChange => planned.SendLastChangeAsync(run, cancel, stopping),
        StepKind.OfferVm => planned.OfferVmAsync(run, cancel, stopping),
        StepKind.StartAtTarget => recovery.StartAtTargetAsync(run, cancel, stopping),
        StepKind.HandOver => planned.HandOverAsync(run, cancel, stopping),
        StepKind.OpenFence => planned.OpenFenceAsync(run, stopping),
        StepKind.TakeBack => planned.TakeBackAsync(run, stopping),
        StepKind.AssessSource => recovery.AssessSourceAsync(run, stopping),
        StepKind.TryFenceSource => attempts.TryFenceSourceAsync(run, cancel, stopping),
        StepKind.TryShutDownGuest => attempts.TryShutDownGuestAsync(run, cancel, stopping),
        StepKind.TryLastChange => attempts.TryLastChangeAsync(run, cancel, stopping),
        StepKind.ChangePointAtTarget => home.ChangePointAsync(run, cancel, stopping),
        StepKind.EndAtTarget => home.EndAtTargetAsync(run, cancel, stopping),
        StepKind.AcceptAtSource => home.AcceptAtSourceAsync(run, cancel, stopping),
        StepKind.SettleTransfer => home.SettleTransferAsync(run, cancel, stopping),
        StepKind.CommitAtTarget => recovery.CommitAsync(run, cancel, stopping),
        StepKind.ExportPoint => points.ExportAsync(run, cancel, stopping),
        StepKind.MountPoint => points.MountAsync(run, cancel, stopping),
        StepKind.AttachPoint => points.AttachAsync(run, cancel, stopping),
        StepKind.UnmountPoint => points.UnmountAsync(run, cancel, stopping),
        StepKind.DetachPoint => points.DetachAsync(run, cancel, stopping),
        StepKind.FenceForMaintenance => maintenance.FenceAsync(run, cancel, stopping),
        StepKind.EndMaintenance => maintenance.EndAsync(run, stopping),
        StepKind.DeleteBranch => points.DeleteBranchAsync(run, cancel, stopping),
        _ => throw new UnreachableException($"step {kind}"),
    };
}
