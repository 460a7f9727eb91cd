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

public sealed record ProtectedVm
{
    public required VmId Vm { get; init; }

    public required string Name { get; init; }

    public required HostId SourceHost { get; init; }

    public required HostId TargetHost { get; init; }

    public required ReplicaId Replica { get; init; }

    /// <summary>The line the replica accepts; null until the target has made the replica.</summary>
    public LineId? Line { get; init; }

    public required string Policy { get; init; }

    /// <summary>Name of the VM at the target.</summary>
    public required string TargetName { get; init; }

    public required IReadOnlyList<NicPlan> Nics { get; init; }

    /// <summary>At the target; null as at the source. Likewise the memory.</summary>
    public int? Cpus { get; init; }

    public long? MemoryBytes { get; init; }

    /// <summary>The target's storage pool that the replica is in; null for the agent's own folders.</summary>
    public string? Pool { get; init; }

    /// <summary>Disks that are left out, by their device at the guest.</summary>
    public IReadOnlyList<string> ExcludedDisks { get; init; } = [];

    public required ProtectionStage Stage { get; init; }

    public IReadOnlyList<TestInfo> Tests { get; init; } = [];

    /// <summary>It was running at its source when the last failover began, and shall again when that is cancelled.</summary>
    public bool RanAtSource { get; init; }

    /// <summary>Set while a failover stands that is not committed.</summary>
    public PendingFailover? Pending { get; init; }
}

/// <param name="Since">When the VM began to run from its present point.</param>
/// <param name="RanAtSource">It was running there before; for a planned failover that means that it can be started there.</param>
/// <param name="Run">What this run was given over the stored settings; null where that was said at the host, which alone knows it.</param>
public sealed record PendingFailover(FailoverKind Kind, DateTimeOffset Since, bool RanAtSource, RunChoices? Run = null);

/// <summary>What becomes of one NIC at the target.</summary>
/// <param name="Mac">The NIC, by its address at the source.</param>
/// <param name="TargetNetwork">Null: unplugged.</param>
/// <param name="NewMac">Null keeps the source's address.</param>
public sealed record NicPlan(string Mac, string? TargetNetwork, string? TestNetwork, string? NewMac);

/// <summary>A test that has been started and not yet completed.</summary>
public sealed record TestInfo(TestId Id, string VmName, RecoveryPointId Point, JobId Job, DateTimeOffset StartedAt, string? Label = null);

public sealed record RecoveryPointInfo(RecoveryPointId Id, DateTimeOffset CutAt, PointKind Kind, string? Label);
