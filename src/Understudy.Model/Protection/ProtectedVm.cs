using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>What the vault decided about a VM; what it is doing is in the reports of the agents.</summary>
public enum ProtectionStage
{
    Preparing,
    Replicating,
    FailingOver,
    CommitPending,
    FailedOver,
}

/// <param name="TargetName">Name of the VM at the target.</param>
/// <param name="Line">The line the replica accepts; null until the target has made the replica.</param>
public sealed record ProtectedVm(
    VmId Vm,
    string Name,
    HostId SourceHost,
    HostId TargetHost,
    ReplicaId Replica,
    LineId? Line,
    string Policy,
    string TargetName,
    IReadOnlyList<NicPlan> Nics,
    ProtectionStage Stage,
    IReadOnlyList<TestInfo> Tests);

/// <summary>What becomes of one NIC at the target.</summary>
/// <param name="Mac">The NIC, by its address at the source.</param>
/// <param name="TargetNetwork">Null: unplugged.</param>
/// <param name="NewMac">Null keeps the source's address.</param>
public sealed record NicPlan(string Mac, string? TargetNetwork, string? TestNetwork, string? NewMac);

/// <summary>A test that has been started and not yet completed.</summary>
public sealed record TestInfo(TestId Id, string VmName, RecoveryPointId Point, JobId Job, DateTimeOffset StartedAt);

public sealed record RecoveryPointInfo(RecoveryPointId Id, DateTimeOffset CutAt, PointKind Kind, string? Label);
