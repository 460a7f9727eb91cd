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
        _ => throw new UnreachableException($"step {kind}"),
    };
}
