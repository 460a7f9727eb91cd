using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;

namespace Understudy.Simulation.Sites.Vault;

/// <summary>What the single steps ask of the agents and write into the rows; each may be begun again.</summary>
internal sealed partial class ModelVault
{
    private const int BranchDays = 7;

    private Task<StepOutcome> CarryOutAsync(JobRow job, StepRow step) => step.Kind switch
    {
        StepKind.CheckBothSides or StepKind.CheckFailover => CheckAsync(job),
        StepKind.CreateReplica => CreateReplicaAsync(job, step),
        StepKind.StartSource => StartSourceAsync(job, step),
        StepKind.FirstCopy => FirstCopyAsync(job),
        StepKind.StopSource => StopSourceAsync(job, step, keepGuard: false),
        StepKind.RetireSource => StopSourceAsync(job, step, keepGuard: true),
        StepKind.RemoveReplica => RemoveReplicaAsync(job, step),
        StepKind.StartTest => StartTestAsync(job, step),
        StepKind.RemoveTest => RemoveTestAsync(job, step),
        StepKind.AssessSource => Task.FromResult(StepOutcome.Done),
        StepKind.StartAtTarget => StartAtTargetAsync(job, step),
        StepKind.CommitAtTarget => CommitAsync(job, step),
        StepKind.ExportPoint => ExportAsync(job, step),
        _ => throw new StepFailedException("not-modelled", step.Kind.ToString()),
    };

    private ProtectionRow Row(JobRow job) => Db.Protections.TryGetValue(job.Vm, out ProtectionRow? row) && row.Replica == job.Input.Replica
        ? row
        : throw new StepFailedException("not-protected", job.Vm.ToString());

    private async Task<StepOutcome> CheckAsync(JobRow job)
    {
        foreach (Site site in _world.Sites)
        {
            await WaitForHostAsync(site);
        }

        bool runs = _world.Source.Machine.Find(job.Vm) is { Qemu: not null };
        return new StepOutcome(StepState.Succeeded, job.Input with { Running = runs });
    }

    private async Task<StepOutcome> CreateReplicaAsync(JobRow job, StepRow step)
    {
        VmWatch vm = _world.Watch(job.Vm);
        ReplicaCreated created = await AskAsync(_world.Target, step, AgentMethods.ReplicaCreate, new ReplicaCreateRequest(
            vm.Id, vm.Name, job.Input.Replica, _world.Source.Id, vm.Name, [], new ReplicaSettings(_world.Retention)));
        await WriteAsync();
        Row(job).Line = created.Line;
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> StartSourceAsync(JobRow job, StepRow step)
    {
        LineId line = Row(job).Line ?? throw new StepFailedException("internal", "no line");
        await AskAsync(_world.Source, step, AgentMethods.SourceProtect, new SourceProtectRequest(
            job.Vm, job.Input.Replica, line, _world.Target.Id, "target:1", new SourceSettings(_world.Policy.Frequency, true)));
        await WriteAsync();
        Row(job).Stage = ProtectionStage.Replicating;
        return StepOutcome.Done;
    }

    /// <summary>Waits as long as it takes; a cancel ends the waiting only.</summary>
    private async Task<StepOutcome> FirstCopyAsync(JobRow job)
    {
        while (!Db.Situation(_world.Watch(job.Vm)).HasPoints)
        {
            if (job.CancelRequested)
            {
                return new StepOutcome(StepState.Cancelled);
            }

            await _process.TakeTimeAsync(TimeSpan.FromSeconds(3));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> StopSourceAsync(JobRow job, StepRow step, bool keepGuard)
    {
        if (!IsConnected(_world.Source))
        {
            return await RemoveLaterAsync(job, step, atSource: true, keepGuard);
        }

        await AskAsync(_world.Source, step, AgentMethods.SourceUnprotect, new SourceUnprotectRequest(job.Vm, job.Input.Replica, keepGuard));
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> RemoveReplicaAsync(JobRow job, StepRow step)
    {
        _world.Watch(job.Vm).Ledger(job.Input.Replica).IsEnding = true;
        if (!IsConnected(_world.Target))
        {
            return await RemoveLaterAsync(job, step, atSource: false, keepGuard: false);
        }

        await AskAsync(_world.Target, step, AgentMethods.TargetUnprotect, new TargetUnprotectRequest(job.Vm, job.Input.Replica));
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> RemoveLaterAsync(JobRow job, StepRow step, bool atSource, bool keepGuard)
    {
        await WriteAsync();
        if (!Db.Cleanups.Exists(c => c.Operation == step.Operation))
        {
            Db.Cleanups.Add(new CleanupRow(step.Operation, job.Vm, job.Input.Replica, atSource, keepGuard));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> StartTestAsync(JobRow job, StepRow step)
    {
        TestId test = job.Input.Test ?? throw new StepFailedException("internal", "no test");
        RecoveryPointId point = job.Input.Point ?? throw new StepFailedException("internal", "no point");
        Row(job).Tests[test] = job; // First in the list, then in the world.
        await WriteAsync();
        await AskAsync(_world.Target, step, AgentMethods.TestStart, new TestStartRequest(
            job.Vm, job.Input.Replica, test, point, job.Input.Name, Isolated: true, [], job.Input.Branch));
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> RemoveTestAsync(JobRow job, StepRow step)
    {
        TestId test = job.Input.Test ?? throw new StepFailedException("internal", "no test");
        await AskAsync(_world.Target, step, AgentMethods.TestComplete, new TestCompleteRequest(job.Input.Replica, test, "done"));
        await WriteAsync();
        Row(job).Tests.Remove(test);
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> StartAtTargetAsync(JobRow job, StepRow step)
    {
        VmWatch vm = _world.Watch(job.Vm);
        Row(job).Stage = ProtectionStage.FailingOver;
        await WriteAsync();
        RecoveryPointId point = job.Input.Point ?? await LatestAsync(job, step);
        FailoverStarted started = await AskAsync(_world.Target, step, AgentMethods.FailoverStart, new FailoverStartRequest(
            vm.Id, job.Input.Replica, point, vm.Name, [new NicPlan(Machines.DomainXml.Mac, "office-here", null, null)],
            job.Input.Transfer, job.Input.Test, BranchDays));
        await WriteAsync();
        ProtectionRow row = Row(job);
        row.Line = started.Line;
        row.Stage = ProtectionStage.CommitPending;
        row.Pending = new PendingFailover(job.Input.Transfer is null ? FailoverKind.Unplanned : FailoverKind.Planned, job.Input.Running);
        return new StepOutcome(StepState.Succeeded, job.Input with { Point = point });
    }

    private async Task<RecoveryPointId> LatestAsync(JobRow job, StepRow step)
    {
        PointsAnswer points = await AskAsync(_world.Target, step, AgentMethods.PointsList, new PointsRequest(job.Input.Replica));
        return points.Points.Count > 0 ? points.Points[^1].Id : throw new StepFailedException("point-unknown", "there is none");
    }

    private async Task<StepOutcome> CommitAsync(JobRow job, StepRow step)
    {
        await AskAsync(_world.Target, step, AgentMethods.Commit, new CommitRequest(job.Vm, job.Input.Replica));
        await WriteAsync();
        ProtectionRow row = Row(job);
        (row.Stage, row.Pending) = (ProtectionStage.FailedOver, null);
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> ExportAsync(JobRow job, StepRow step)
    {
        RecoveryPointId point = job.Input.Point ?? throw new StepFailedException("internal", "no point");
        await AskAsync(_world.Target, step, AgentMethods.PointExport, new PointExportRequest(
            job.Input.Replica, point, $"/exports/{step.Operation}", "raw", job.Input.Branch));
        return StepOutcome.Done;
    }
}
