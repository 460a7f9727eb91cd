using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;

namespace Understudy.Simulation.Sites.Vault;

/// <summary>The vault's rows: whatever a vault does to them it does in one transaction, and the next vault finds them.</summary>
internal sealed class VaultDatabase
{
    public Dictionary<VmId, ProtectionRow> Protections { get; } = [];

    public List<JobRow> Jobs { get; } = [];

    /// <summary>The job that has the VM.</summary>
    public Dictionary<VmId, JobRow> Leases { get; } = [];

    /// <summary>What a host that was away has still to remove.</summary>
    public List<CleanupRow> Cleanups { get; } = [];

    /// <summary>The newest report of each side, kept over a restart.</summary>
    public Dictionary<VmId, SourceReport> Sources { get; } = [];

    public Dictionary<VmId, TargetReport> Targets { get; } = [];

    /// <summary>Old disks at the source that are listed until they are deleted by name.</summary>
    public Dictionary<ReplicaId, VmId> Retired { get; } = [];

    /// <summary>What the hosts have said to have kept when a protection ended.</summary>
    public List<string> Kept { get; } = [];

    /// <summary>What a command about the VM is about: its protection, or the one that it had.</summary>
    public ReplicaId ReplicaOf(VmId vm) => Protections.GetValueOrDefault(vm)?.Replica
        ?? Retired.FirstOrDefault(r => r.Value == vm).Key;

    public IEnumerable<JobRow> JobsOf(VmId vm) => Jobs.Where(j => j.Vm == vm);

    /// <summary>The protection that the job was made for has ended, or it was to end it as it no longer can be: it is not retried.</summary>
    public bool IsOutdated(JobRow job) => !job.Input.AtSource
        && (!Protections.TryGetValue(job.Vm, out ProtectionRow? row) || row.Replica != job.Input.Replica
            || JobsOf(job.Vm).Any(other => other.Id > job.Id && LifeCycle.IsOvertaken(job.Action, other.Action, other.Flow))
            || (job.Action == JobAction.Unprotect && !LifeCycle.IsStillTheEnd(job.Flow, row.Stage, Sources.GetValueOrDefault(job.Vm), Targets.GetValueOrDefault(job.Vm))));

    public VmSituation Situation(VmWatch vm)
    {
        Protections.TryGetValue(vm.Id, out ProtectionRow? row);
        SourceReport? source = Sources.GetValueOrDefault(vm.Id);
        TargetReport? target = Targets.GetValueOrDefault(vm.Id);
        return new VmSituation
        {
            Vm = vm.Name,
            State = row is null ? ProtectionState.Unprotected : Standing.Of(row.Stage, source, target, row.Tests.Count),
            Target = row is null ? null : "target",
            HasPoints = row is { Stage: not ProtectionStage.FailedOver } && (target is { PointCount: > 0 } || source?.LastPoint is not null),
            Tests = row?.Tests.Count ?? 0,
            TargetBranches = row is null ? 0 : target?.Branches?.Count ?? 0,
            SourceBranches = row is null ? Retired.Values.Count(old => old == vm.Id) : source?.Branches?.Count ?? 0,
            Mounts = row is null ? 0 : target?.Mounts?.Count(m => m.ToVm is null) ?? 0,
            Attached = row is null ? 0 : target?.Mounts?.Count(m => m.ToVm is not null) ?? 0,
            PausedBy = source?.PausedBy,
            Fenced = HealthRules.IsFencedOwner(source),
            OwnedAtTarget = target?.Ownership is { State: OwnershipState.Here },
            OwnedAtSource = Standing.IsOwnedAtSource(source, target),
            Overtaken = Standing.IsOvertaken(source, target),
            StartsAtTarget = row is not null && target is { Phase: TargetPhase.FailingOver },
            MergeWaits = target?.Waiting ?? (target is { Phase: TargetPhase.Committing } ? "its disks are being merged" : null),
        };
    }
}

internal sealed class ProtectionRow(VmId vm, ReplicaId replica)
{
    public VmId Vm { get; } = vm;

    public ReplicaId Replica { get; } = replica;

    public LineId? Line { get; set; }

    public ProtectionStage Stage { get; set; } = ProtectionStage.Preparing;

    /// <summary>Tests that are listed, with the job of each.</summary>
    public Dictionary<TestId, JobRow> Tests { get; } = [];

    /// <summary>Set while a failover stands that is not committed.</summary>
    public PendingFailover? Pending { get; private set; }

    /// <summary>Whether the VM ran at its source before it was failed over; a source that was away learns it with the cancel.</summary>
    public bool RanAtSource { get; set; }

    public TimeSpan Retention { get; set; }

    /// <summary>Begins or ends the wait for a commit.</summary>
    public void Put(PendingFailover? pending)
    {
        Stage = pending is null ? ProtectionStage.Replicating : ProtectionStage.CommitPending;
        Pending = pending;
        RanAtSource = pending?.RanAtSource ?? RanAtSource;
    }
}

internal sealed record PendingFailover(FailoverKind Kind, bool RanAtSource);

internal sealed record CleanupRow(OperationId Operation, VmId Vm, ReplicaId Replica, bool AtSource, SourceUnprotectRequest? Retirement = null);

internal sealed class JobRow(long id, VmId vm, JobAction action, IReadOnlyList<StepKind> steps, JobInput input, Func<OperationId> newOperation)
{
    private readonly Func<OperationId> _newOperation = newOperation;

    public long Id { get; } = id;

    public VmId Vm { get; } = vm;

    public JobAction Action { get; } = action;

    public List<StepRow> Steps { get; } = [.. steps.Select(kind => new StepRow(kind, newOperation()))];

    public JobInput Input { get; set; } = input;

    public JobState State { get; set; } = JobState.Running;

    public bool HasEnded { get; set; }

    public bool CancelRequested { get; set; }

    /// <summary>The user has completed the test.</summary>
    public bool Completed { get; set; }

    /// <summary>Code of the error that ended it.</summary>
    public string? Error { get; set; }

    public FlowStep[] Flow => [.. Steps.Select(s => new FlowStep(s.Kind, s.State))];

    public void Add(StepKind kind) => Steps.Add(new StepRow(kind, _newOperation()));

    /// <summary>Goes on at the step that did not succeed; one that was undone begins again.</summary>
    public void Retry(Func<Guid> newId)
    {
        StepRow[] undos = [.. Steps.Where(s => JobFlow.IsUndo(s.Kind))];
        bool undone = undos.Length > 0 && undos.All(s => s.State == StepState.Succeeded);
        Steps.RemoveAll(undos.Contains);
        foreach (StepRow step in undone ? Steps : Steps.SkipWhile(s => s.State == StepState.Succeeded))
        {
            (step.State, step.Operation) = (StepState.Pending, _newOperation());
        }

        Input = undone ? Input.Renew(newId) : Input;
        (State, HasEnded, CancelRequested, Completed, Error) = (JobState.Running, false, false, false, null);
    }

    /// <summary>Again, as another operation: the first one's outcome was that the guest still runs.</summary>
    public void Again(StepRow step) => (step.State, step.Operation) = (StepState.Pending, _newOperation());
}

internal sealed class StepRow(StepKind kind, OperationId operation)
{
    public StepKind Kind { get; } = kind;

    public StepState State { get; set; } = StepState.Pending;

    public OperationId Operation { get; set; } = operation;
}

/// <summary>What the steps of a job need to know, and what one step finds out for the next.</summary>
internal sealed record JobInput(ReplicaId Replica)
{
    public RecoveryPointId? Point { get; init; }

    public TransferId? Transfer { get; init; }

    public TestId? Test { get; init; }

    public BranchId? Branch { get; init; }

    public MountId? Mount { get; init; }

    /// <summary>Of a test; or of the VM that a point is attached to.</summary>
    public string Name { get; init; } = "";

    /// <summary>Of what is mounted or attached.</summary>
    public bool Writable { get; init; }

    /// <summary>The VM ran at its source when the job was made.</summary>
    public bool Running { get; init; }

    public bool Off { get; init; }

    public bool PowerOff { get; init; }

    /// <summary>Of a branch: it is old disks of the source.</summary>
    public bool AtSource { get; init; }

    public bool ShutDownSource { get; init; }

    public TimeSpan? Retention { get; init; }

    /// <summary>Devices that shall take no part; null when that is not asked for.</summary>
    public IReadOnlyList<string>? Excluded { get; init; }

    public TimeSpan ShutdownLimit { get; init; } = TimeSpan.FromMinutes(2);

    public LineId? Line { get; init; }

    public RecoveryPointId? Parent { get; init; }

    public JobInput Renew(Func<Guid> newId) => Transfer is null
        ? this with { Off = false, PowerOff = false }
        : this with { Transfer = new TransferId(newId()), Point = null, Off = false, PowerOff = false };
}
