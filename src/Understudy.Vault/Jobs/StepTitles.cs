using System.Diagnostics;
using Understudy.Plans;

namespace Understudy.Vault.Jobs;

/// <summary>What people read of a step.</summary>
internal static class StepTitles
{
    public static string Of(StepKind kind) => kind switch
    {
        StepKind.CheckBothSides => "check both hosts",
        StepKind.CreateReplica => "make the replica at the target",
        StepKind.StartSource => "start replication at the source",
        StepKind.FirstCopy => "first copy",
        StepKind.StartTest => "start the test",
        StepKind.AwaitTestCompletion => "complete the test",
        StepKind.RemoveTest => "remove what the test made",
        StepKind.AssessSource => "find out about the source",
        StepKind.StartAtTarget => "start the VM at the target",
        StepKind.CommitAtTarget => "merge the disks while the VM runs",
        StepKind.StopSource => "end replication at the source",
        StepKind.RemoveReplica => "remove the replica at the target",
        StepKind.ExportPoint => "write the disks of the point",
        StepKind.RetireSource => "end replication; the old source stays blocked",
        StepKind.SettingsAtSource => "tell the source",
        StepKind.DisksAtSource => "tell the source which disks take part",
        StepKind.SettingsAtTarget => "tell the target",
        StepKind.PauseSource => "stop cutting",
        StepKind.ResumeSource => "cut again",
        StepKind.ResyncSource => "have all disks read again",
        StepKind.MarkPoint => "cut a point and mark it",
        StepKind.CheckFailover => "check both sides",
        StepKind.RunLastCycle => "send what has changed while the VM runs",
        StepKind.FenceSource => "fence the VM at the source",
        StepKind.ShutDownGuest => "shut the guest down",
        StepKind.SendLastChange => "send the last change",
        StepKind.OfferVm => "offer the VM to the target",
        StepKind.HandOver => "tell the source that its VM was taken",
        StepKind.FenceForMaintenance => "fence the VM for the maintenance",
        StepKind.AwaitMaintenanceEnd => "the host may be worked on",
        StepKind.EndMaintenance => "give the VM back",
        StepKind.OpenFence => "undo: open the fence at the source",
        StepKind.TakeBack => "undo: take the offer back",
        StepKind.TryFenceSource => "fence the VM at the source, if it can be",
        StepKind.TryShutDownGuest => "shut the guest down, if it can be",
        StepKind.TryLastChange => "send the last change, if it can be",
        StepKind.ChangePointAtTarget => "start the VM from the other point",
        StepKind.EndAtTarget => "end the VM at the target and offer it back",
        StepKind.AcceptAtSource => "take the VM at the source",
        StepKind.SettleTransfer => "tell the target that its offer was taken",
        StepKind.MountPoint => "mount the point",
        StepKind.AttachPoint => "attach the point",
        StepKind.UnmountPoint => "unmount",
        StepKind.DetachPoint => "detach",
        StepKind.DeleteBranch => "delete the branch",
        _ => throw new UnreachableException($"step {kind}"),
    };
}
