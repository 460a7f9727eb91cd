using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Protection;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>
/// The way over in order (FO-1): fence first, so that nothing starts the guest again; the VM is offered only when its last
/// change is at the target. Until the offer everything can be undone; after it only the target's word counts.
/// </summary>
internal sealed class PlannedSteps(StepScene scene, BothSides sides, ReportBoard board, AgentRegistry agents)
{
    /// <summary>The source writes a few records; it holds nothing up that runs at the target already.</summary>
    private static readonly TimeSpan _handOverLimit = TimeSpan.FromSeconds(30);

    public async Task<StepResult> CheckFailoverAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        string findings = await sides.CheckAsync(run, vm, source, target, cancel, stopping);
        DiscoveredVm discovered = await scene.DiscoveredAsync(vm, source, stopping);
        HostFacts? facts = agents.Find(vm.TargetHost) is { } session ? await session.TryGetFactsAsync(stopping) : null;
        if (FailoverChecks.OfReplica(board.Get(vm.Vm).Target) is { } unusable)
        {
            throw new ErrorException(unusable);
        }

        if (FailoverChecks.Evaluate(
            (input.Run ?? RunChoices.None).Over(vm), discovered, target.Name, facts ?? HostStore.FactsOf(target), board.Get(vm.Vm).Source, source.Name, HostStore.FactsOf(source)?.GuardProblem) is { } refusal)
        {
            throw new ErrorException(refusal);
        }

        return new StepResult(findings, [], input with { Running = discovered.Power is not (VmPower.Off or VmPower.Crashed) });
    }

    public async Task<StepResult> RunLastCycleAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        if (!run.InputAs<FailoverInput>().Running)
        {
            return StepResult.Done("the VM is off");
        }

        PointMade made = await run.AskAsync(
            source, AgentMethods.SourceCycle, new SourceCycleRequest(vm.Vm, vm.Replica, PointKind.CrashConsistent), cancel, stopping);
        return StepResult.Done($"point {made.Point.CutAt:yyyy-MM-ddTHH:mm:ss.fffZ}");
    }

    public async Task<StepResult> FenceSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await scene.SetFailingOverAsync(run, stopping);
        await run.AskAsync(
            source, AgentMethods.SourceFence, new SourceFenceRequest(vm.Vm, vm.Replica, $"job {run.Job}, {run.JobName}, is moving it"), cancel, stopping);
        return StepResult.Done(HostStore.FactsOf(source)?.GuardProblem is { } problem
            ? $"{vm.Name} is fenced at {source.Name}, whose start guard is not in force ({problem}): see that nobody starts it there"
            : $"nobody can start {vm.Name} at {source.Name}");
    }

    public async Task<StepResult> ShutDownGuestAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        GuestStopped stopped = await run.AskAsync(
            source, AgentMethods.SourceStopGuest, new SourceStopGuestRequest(vm.Vm, vm.Replica, input.PowerOffBy is not null, input.ShutdownLimit), cancel, stopping);
        if (!stopped.Off)
        {
            return new StepResult(
                $"the guest has not shut down within {Durations.Rough(stopped.Waited)}: wait again, power it off, or cancel", [], null, JobWait.Action);
        }

        FailoverInput off = input with { Off = true, PoweredOff = stopped.PoweredOff };
        if (!stopped.PoweredOff)
        {
            return new StepResult($"off after {Durations.Rough(stopped.Waited)}", [], off);
        }

        await scene.Events.AddAsync(
            HealthLevel.Warning, "powered-off", vm.Vm.Value, source.Id,
            $"{vm.Name} was powered off at {source.Name} by {input.PowerOffBy} (job {run.Job}, {run.JobName}): its guest did not shut down, and what it had not written to its disks is lost.",
            stopping);
        return new StepResult($"powered off by {input.PowerOffBy} at {run.Now:yyyy-MM-ddTHH:mm:ssZ}; off after {Durations.Rough(stopped.Waited)}", [], off);
    }

    public async Task<StepResult> SendLastChangeAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        string? label = input.PoweredOff ? $"powered off by {input.PowerOffBy}" : null;
        PointMade made = await run.AskAsync(
            source, AgentMethods.SourceLastChange, new SourceLastChangeRequest(vm.Vm, vm.Replica, PointKind.Planned, label), cancel, stopping);
        return new StepResult(StepWords.LastChange(made.Point), [], input with { Point = made.Point.Id });
    }

    public async Task<StepResult> OfferVmAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        SourceOffered offered = await run.AskAsync(
            source, AgentMethods.SourceOffer, new SourceOfferRequest(vm.Vm, vm.Replica, TransferOf(input), vm.TargetHost), cancel, stopping);
        return new StepResult($"to {target.Name}, as of point {offered.Point}", [], input with { Point = offered.Point });
    }

    /// <summary>The VM runs at the target already: a source that cannot be told now hears it when it comes back.</summary>
    public async Task<StepResult> HandOverAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        if (!await run.IsThereAsync(source, stopping) || vm.Line is not { } line)
        {
            return StepResult.Done($"{source.Name} is not connected; it hears it when it comes back");
        }

        try
        {
            await run.TryAskAsync(
                source, AgentMethods.SourceHandedOver, new SourceHandedOverRequest(vm.Vm, vm.Replica, TransferOf(input), line), _handOverLimit, cancel, stopping);
            return StepResult.Done($"{source.Name} keeps {vm.Name} off");
        }
        catch (ErrorException refused)
        {
            await scene.Events.AddAsync(HealthLevel.Warning, "hand-over-refused", vm.Vm.Value, source.Id, $"{vm.Name}: {refused.Error}", stopping);
            return StepResult.Done($"{source.Name} says: {refused.Error.What}. It is told again when it connects");
        }
    }

    public async Task<StepResult> OpenFenceAsync(StepRun run, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await run.AskAsync(
            source, AgentMethods.SourceUnfence, new SourceUnfenceRequest(vm.Vm, vm.Replica, input.Running), CancellationToken.None, stopping);
        await scene.SetStageAsync(run, ProtectionStage.Replicating, stopping);
        return StepResult.Done(input.Running ? $"{vm.Name} runs at {source.Name}" : $"{vm.Name} is off, as before");
    }

    /// <summary>Asks the target for its durable refusal, and only with that the source to take the VM back.</summary>
    public async Task<StepResult> TakeBackAsync(StepRun run, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        if (!await run.IsThereAsync(target, stopping))
        {
            throw new ErrorException(Errors.TokenInTransit(vm.Name, target.Name));
        }

        await run.AskAsync(target, AgentMethods.TransferRefuse, new TransferRefuseRequest(vm.Replica, TransferOf(input)), CancellationToken.None, stopping);
        await run.AskAsync(
            source, AgentMethods.SourceTakeBack, new SourceTakeBackRequest(vm.Vm, vm.Replica, TransferOf(input), input.Running), CancellationToken.None, stopping);
        return StepResult.Done($"{target.Name} has refused the VM for good; it is owned at {source.Name} again");
    }

    private static TransferId TransferOf(FailoverInput input) =>
        input.Transfer ?? throw new ErrorException(Errors.Internal("a planned failover without a transfer"));
}
