using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Protection.Ports;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Simulation.Sites.Vault;

namespace Understudy.Simulation.Sites;

/// <summary>What a sensible person does when nothing goes wrong any more, until every VM is well.</summary>
internal sealed partial class ModelUser
{
    /// <summary>One step towards a VM that is well: goes on with what was begun, and completes what waits.</summary>
    public async Task SettleAsync(VmWatch vm)
    {
        if (_world.Vault is not { } vault)
        {
            return;
        }

        foreach (JobRow job in _world.Database.JobsOf(vm.Id).Where(j => j.State == JobState.Waiting).ToArray())
        {
            await vault.AnswerAsync(job, powerOff: true);
        }

        VmSituation now = _world.Database.Situation(vm);
        if (_world.Database.JobsOf(vm.Id).LastOrDefault(j => (HasEndedHalfWay(j) || IsBeingRemoved(j)) && !_world.Database.IsOutdated(j)) is { } half)
        {
            // What goes on meanwhile waits for a side that is gone, and an older one for that.
            foreach (JobRow waiting in _world.Database.JobsOf(vm.Id).Where(j => !j.HasEnded).ToArray())
            {
                await vault.CancelAsync(waiting);
            }

            await (half.Error == "owned-elsewhere"
                ? RetireAsync(vm) // It stays where it went before the end reached its source: that is to be said.
                : vault.RetryAsync(half));
        }
        else if (_world.Database.Protections.GetValueOrDefault(vm.Id)?.Tests.Values.FirstOrDefault(j => j.HasEnded) is { } standing)
        {
            await vault.RetryAsync(standing); // Its job has failed, and the test is listed still.
        }
        else if (_world.Database.JobsOf(vm.Id).LastOrDefault(j => j.HasEnded && MovesTheVm(j.Action)) is { State: JobState.Failed or JobState.Cancelled } last
            && IsWorthRetrying(now, last) && _random.Chance(0.7))
        {
            await vault.RetryAsync(last);
        }
        else if (now.Fenced && _world.Database.JobsOf(vm.Id).LastOrDefault(j => j is { HasEnded: true, Action: JobAction.Maintenance }) is { State: JobState.Failed } resting)
        {
            await vault.RetryAsync(resting); // Its host was away when it was to give the VM back.
        }
        else if (now is { State: ProtectionState.FailedOver, OwnedAtSource: true })
        {
            await RetireAsync(vm); // Claimed back after the commit: the VM runs at its source, and nothing here is a replica any more.
        }
        else if (!_world.Database.Leases.ContainsKey(vm.Id) && Remedy(now) is { } remedy)
        {
            // A job that only waits holds nobody up: the first copy of a VM that is paused ends when somebody resumes it.
            await OrderAsync(vm, remedy);
        }
    }

    /// <summary>A VM that somebody has claimed and not started is resumed by hand where it was paused.</summary>
    public void ResumeClaimed(VmWatch vm)
    {
        Site source = _world.Source;
        if (vm.Claims > 0 && source.TokenOf(vm.Id).Now is { } owner && owner.MayRun(source.Machine.Boot) && source.Machine.Find(vm.Id)?.Qemu is { } qemu)
        {
            qemu.Resume();
        }
    }

    /// <summary>A guest that stands on its own images again after a failover, and met an error of their disk, is its owner's to resume.</summary>
    public void ResumeAfterError(VmWatch vm)
    {
        Site target = _world.Target;
        bool isOffViews = target.Agent is { } agent && agent.Target.Hosts.Any(
            host => host.Spec.Vm == vm.Id && host.Status.Failover is { Step: >= FailoverStep.EndingViews });
        if (isOffViews && target.Machine.Find(vm.Id) is { State: VmRunState.PausedIoError, Qemu: { } qemu })
        {
            _world.Context.Counters.Add("user: resumes after an error of a disk");
            qemu.Resume();
        }
    }

    /// <summary>One step towards a VM of which nothing of ours is left.</summary>
    public async Task RetireAsync(VmWatch vm)
    {
        VmSituation now = _world.Database.Situation(vm);
        if (now.State == ProtectionState.Unprotected)
        {
            await ClearAtHostAsync(vm);
        }

        await OrderAsync(vm, now switch
        {
            { Mounts: > 0 } => VmCommand.Unmount,
            { Attached: > 0 } => VmCommand.Detach,
            { TargetBranches: > 0 } or { State: ProtectionState.Unprotected, SourceBranches: > 0 } => VmCommand.DeleteBranch,
            { State: ProtectionState.CommitPending } => VmCommand.Commit,
            _ => VmCommand.Unprotect,
        });
    }

    /// <summary>Its protection ended while the target was away, and somebody had given orders there of which the vault knew nothing:
    /// the person at that host settles them.</summary>
    private async Task ClearAtHostAsync(VmWatch vm)
    {
        foreach (CleanupRow owed in _world.Database.Cleanups.Where(row => row.Vm == vm.Id && !row.AtSource).ToArray())
        {
            if (_world.Target.Agent is not { } agent || agent.Target.TryFind(owed.Replica) is not { Status: var status })
            {
                continue;
            }

            var operation = new OperationId(_world.Ids.NewGuid());
            if (status.Failover is { Step: not FailoverStep.Committed })
            {
                _world.Context.Counters.Add("user: commits at the target what nobody protects any more");
                await agent.AnswerAsync(AgentMethods.Commit, operation, new CommitRequest(vm.Id, owed.Replica));
            }
            else if (status.Branches is [var branch, ..])
            {
                _world.Context.Counters.Add("user: deletes at the target a branch that nobody protects any more");
                await agent.AnswerAsync(AgentMethods.BranchDelete, operation, new BranchDeleteRequest(owed.Replica, branch.Branch.Id));
            }
        }
    }

    /// <summary>Of a protection that was ended at one side, whatever was asked for afterwards.</summary>
    private static bool HasEndedHalfWay(JobRow job) => job is { Action: JobAction.Unprotect, HasEnded: true, State: not JobState.Succeeded }
        && (job.Steps[0].State == StepState.Succeeded || job.Error == "no-space" || job.Error?.StartsWith("storage-", StringComparison.Ordinal) == true);

    /// <summary>Its host has begun to remove the replica and was interrupted, or has done so since.</summary>
    private bool IsBeingRemoved(JobRow job) => job is { Action: JobAction.Unprotect, HasEnded: true, State: not JobState.Succeeded }
        && _world.Target.Agent is { } agent && agent.Target.TryFind(job.Input.Replica) is null or { Spec.Removal: not ReplicaRemoval.None };

    /// <summary>The others leave a protection where it was, whatever came of them.</summary>
    private static bool MovesTheVm(JobAction action) => action is JobAction.Protect or JobAction.Unprotect or JobAction.PlannedFailover
        or JobAction.UnplannedFailover or JobAction.Promote or JobAction.ChangePoint or JobAction.Cancel or JobAction.Commit or JobAction.DeleteBranch;

    /// <summary>A test, export or failover that came to nothing has left everything as it was.</summary>
    private static bool IsWorthRetrying(VmSituation now, JobRow job) => job.Action is JobAction.Protect or JobAction.Unprotect or JobAction.Commit
        || now.State == ProtectionState.FailingOver || (job.Action == JobAction.DeleteBranch && now.State == ProtectionState.Unprotected);

    private VmCommand? Remedy(VmSituation now) => now switch
    {
        { State: ProtectionState.Paused } => VmCommand.Resume,
        { State: ProtectionState.FailingOver } => _random.Chance(0.6) ? VmCommand.Cancel : VmCommand.UnplannedFailover,
        { State: ProtectionState.CommitPending or ProtectionState.FailedOver or ProtectionState.Unprotected } => null,
        { Fenced: true } => VmCommand.Cancel,
        _ => null,
    };
}
