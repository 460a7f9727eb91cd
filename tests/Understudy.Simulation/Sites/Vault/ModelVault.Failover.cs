using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Simulation.Running;

namespace Understudy.Simulation.Sites.Vault;

/// <summary>The way over, and home again.</summary>
internal sealed partial class ModelVault
{
    private const int BranchDays = 7;

    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(30);

    private static readonly IReadOnlyList<NicPlan> Nics = [new NicPlan(Machines.DomainXml.Mac, "office-here", null, null)];

    private Task<StepOutcome> TryFenceSourceAsync(JobRow job, StepRow step)
    {
        SetFailingOver(job);
        return TryAsync(job, step, AgentMethods.SourceFence, new SourceFenceRequest(job.Vm, job.Input.Replica, $"job {job.Id}"), _ => StepOutcome.Done);
    }

    private Task<StepOutcome> TryShutDownGuestAsync(JobRow job, StepRow step) => TryAsync(
        job,
        step,
        AgentMethods.SourceStopGuest,
        new SourceStopGuestRequest(job.Vm, job.Input.Replica, PowerOff: false, job.Input.ShutdownLimit),
        stopped => new StepOutcome(StepState.Succeeded, job.Input with { Off = stopped.Off }));

    private Task<StepOutcome> TryLastChangeAsync(JobRow job, StepRow step) => !job.Input.Off
        ? Task.FromResult(StepOutcome.Done)
        : TryAsync(
            job,
            step,
            AgentMethods.SourceLastChange,
            new SourceLastChangeRequest(job.Vm, job.Input.Replica, PointKind.Planned),
            made => new StepOutcome(StepState.Succeeded, job.Input with { Point = job.Input.Point ?? made.Point.Id }));

    /// <summary>A source that does not answer, refuses or is slow holds nothing up for longer than the shutdown's limit.</summary>
    private async Task<StepOutcome> TryAsync<TRequest, TAnswer>(
        JobRow job, StepRow step, AgentMethod<TRequest, TAnswer> method, TRequest body, Func<TAnswer, StepOutcome> then)
    {
        if (!IsConnected(_world.Source))
        {
            return StepOutcome.Done;
        }

        long limit = _world.Simulator.NowTicks + (job.Input.ShutdownLimit + Margin).Ticks;
        try
        {
            return then(await AskAsync(_world.Source, step, method, body, limit));
        }
        catch (StepFailedException) when (!job.CancelRequested)
        {
            return StepOutcome.Done;
        }
    }

    private async Task<StepOutcome> RunLastCycleAsync(JobRow job, StepRow step) => job.Input.Running
        ? await AtSourceAsync(step, AgentMethods.SourceCycle, new SourceCycleRequest(job.Vm, job.Input.Replica, PointKind.CrashConsistent))
        : StepOutcome.Done;

    private Task<StepOutcome> FenceSourceAsync(JobRow job, StepRow step)
    {
        SetFailingOver(job);
        return AtSourceAsync(step, AgentMethods.SourceFence, new SourceFenceRequest(job.Vm, job.Input.Replica, $"job {job.Id}"));
    }

    private async Task<StepOutcome> ShutDownGuestAsync(JobRow job, StepRow step)
    {
        GuestStopped stopped = await AskAsync(_world.Source, step, AgentMethods.SourceStopGuest, new SourceStopGuestRequest(
            job.Vm, job.Input.Replica, job.Input.PowerOff, job.Input.ShutdownLimit));
        return stopped.Off ? new StepOutcome(StepState.Succeeded, job.Input with { Off = true }) : new StepOutcome(StepState.Waiting);
    }

    private async Task<StepOutcome> SendLastChangeAsync(JobRow job, StepRow step)
    {
        PointMade made = await AskAsync(_world.Source, step, AgentMethods.SourceLastChange, new SourceLastChangeRequest(job.Vm, job.Input.Replica, PointKind.Planned));
        return new StepOutcome(StepState.Succeeded, job.Input with { Point = made.Point.Id });
    }

    private async Task<StepOutcome> OfferVmAsync(JobRow job, StepRow step)
    {
        SourceOffered offered = await AskAsync(_world.Source, step, AgentMethods.SourceOffer, new SourceOfferRequest(
            job.Vm, job.Input.Replica, Required(job.Input.Transfer), _world.Target.Id));
        return new StepOutcome(StepState.Succeeded, job.Input with { Point = offered.Point });
    }

    private async Task<StepOutcome> StartAtTargetAsync(JobRow job, StepRow step)
    {
        VmWatch vm = _world.Watch(job.Vm);
        SetFailingOver(job);
        await WriteAsync();
        RecoveryPointId point = job.Input.Point ?? await LatestAsync(job, step);
        FailoverStartRequest request = new(vm.Id, job.Input.Replica, point, vm.Name, Nics, job.Input.Transfer, job.Input.Test, BranchDays);
        if (_world.Context.Plant == Plant.TakeBackUnrefused && job.Input.Transfer is not null && _random.Chance(0.5))
        {
            _ = TryAskAsync(_world.Target, AgentMethods.FailoverStart, step.Operation, request);
            throw new StepFailedException("too-slow", "the answer was not waited for");
        }

        FailoverStarted started = await AskAsync(_world.Target, step, AgentMethods.FailoverStart, request);
        await WriteAsync();
        Promise(job, started.Branch);
        ProtectionRow row = Row(job);
        row.Line = started.Line;
        row.Put(new PendingFailover(job.Input.Transfer is null ? FailoverKind.Unplanned : FailoverKind.Planned, job.Input.Running));
        return new StepOutcome(StepState.Succeeded, job.Input with { Point = point });
    }

    private async Task<RecoveryPointId> LatestAsync(JobRow job, StepRow step)
    {
        PointsAnswer points = await AskAsync(_world.Target, step, AgentMethods.PointsList, new PointsRequest(job.Input.Replica));
        return points.Points.Count > 0 ? points.Points[^1].Id : throw new StepFailedException("point-unknown", "there is none");
    }

    /// <summary>The VM runs at the target already: a source that cannot be told now hears it when it comes back.</summary>
    private async Task<StepOutcome> HandOverAsync(JobRow job, StepRow step)
    {
        if (!IsConnected(_world.Source) || Row(job).Line is not { } line)
        {
            return StepOutcome.Done;
        }

        try
        {
            return await AtSourceAsync(step, AgentMethods.SourceHandedOver, new SourceHandedOverRequest(job.Vm, job.Input.Replica, Required(job.Input.Transfer), line));
        }
        catch (StepFailedException)
        {
            return StepOutcome.Done;
        }
    }

    private async Task<StepOutcome> OpenFenceAsync(JobRow job, StepRow step)
    {
        await AskAsync(_world.Source, step, AgentMethods.SourceUnfence, new SourceUnfenceRequest(job.Vm, job.Input.Replica, job.Input.Running));
        await WriteAsync();
        Row(job).Stage = ProtectionStage.Replicating;
        return StepOutcome.Done;
    }

    /// <summary>The target's durable refusal first, and only with that the source takes the VM back.</summary>
    private async Task<StepOutcome> TakeBackAsync(JobRow job, StepRow step)
    {
        TransferId transfer = Required(job.Input.Transfer);
        if (!IsConnected(_world.Target))
        {
            throw new StepFailedException("token-in-transit", "the target is away");
        }

        if (_world.Context.Plant != Plant.TakeBackUnrefused)
        {
            await AskAsync(_world.Target, step, AgentMethods.TransferRefuse, new TransferRefuseRequest(job.Input.Replica, transfer));
        }

        return await AtSourceAsync(step, AgentMethods.SourceTakeBack, new SourceTakeBackRequest(job.Vm, job.Input.Replica, transfer, job.Input.Running));
    }

    private async Task<StepOutcome> ChangePointAsync(JobRow job, StepRow step)
    {
        FailoverStarted started = await AskAsync(_world.Target, step, AgentMethods.ChangePoint, new ChangePointRequest(
            job.Vm, job.Input.Replica, Required(job.Input.Point), BranchDays, Nics: Nics));
        await WriteAsync();
        Promise(job, started.Branch);
        ProtectionRow row = Row(job);
        row.Line = started.Line;
        row.Put(row.Pending ?? new PendingFailover(FailoverKind.Unplanned, false));
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> EndAtTargetAsync(JobRow job, StepRow step)
    {
        FailoverCancelled cancelled;
        try
        {
            cancelled = await AskAsync(_world.Target, step, AgentMethods.FailoverCancel, new FailoverCancelRequest(
                job.Vm, job.Input.Replica, Required(job.Input.Transfer), _world.Source.Id, BranchDays, job.Input.Running));
        }
        catch (StepFailedException refused) when (refused.Code is "owned-elsewhere" or "not-failed-over" && Row(job).Pending is null)
        {
            return StepOutcome.Done; // It does not have the VM: there is nothing to give back.
        }

        await WriteAsync();
        Promise(job, cancelled.Branch);
        ProtectionRow row = Row(job);
        row.Put(null);
        row.Line = cancelled.Line;
        return new StepOutcome(StepState.Succeeded, job.Input with { Line = cancelled.Line, Parent = cancelled.Parent });
    }

    /// <summary>A source that is away takes the VM when it comes back: the offer waits for it.</summary>
    private async Task<StepOutcome> AcceptAtSourceAsync(JobRow job, StepRow step)
    {
        if (job.Input is not { Line: { } line, Parent: { } parent })
        {
            await AskAsync(_world.Source, step, AgentMethods.SourceUnfence, new SourceUnfenceRequest(job.Vm, job.Input.Replica, job.Input.Running));
            await WriteAsync();
            Row(job).Stage = ProtectionStage.Replicating;
            return StepOutcome.Done;
        }

        return IsConnected(_world.Source)
            ? await AtSourceAsync(step, AgentMethods.SourceAccept, new SourceAcceptRequest(
                job.Vm, job.Input.Replica, Required(job.Input.Transfer), line, parent, job.Input.Running))
            : StepOutcome.Done;
    }

    private async Task<StepOutcome> SettleTransferAsync(JobRow job, StepRow step)
    {
        if (job.Input.Line is not null && _world.Sites.All(IsConnected))
        {
            await AskAsync(_world.Target, step, AgentMethods.TransferSettled, new TransferSettledRequest(job.Input.Replica, Required(job.Input.Transfer)));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> CommitAsync(JobRow job, StepRow step)
    {
        await AskAsync(_world.Target, step, AgentMethods.Commit, new CommitRequest(job.Vm, job.Input.Replica));
        await WriteAsync();
        ProtectionRow row = Row(job);
        row.Put(null);
        row.Stage = ProtectionStage.FailedOver;
        return StepOutcome.Done;
    }

    private void SetFailingOver(JobRow job)
    {
        ProtectionRow row = Row(job);
        (row.Stage, row.RanAtSource) = (ProtectionStage.FailingOver, job.Input.Running);
    }

    private void Promise(JobRow job, BranchId? branch)
    {
        if (branch is { } kept)
        {
            _world.Watch(job.Vm).Ledger(job.Input.Replica).Branches.Promise(kept);
        }
    }
}
