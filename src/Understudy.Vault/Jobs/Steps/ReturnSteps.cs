using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>Before the commit: another point, or home again (FO-3).</summary>
internal sealed class ReturnSteps(StepScene scene)
{
    /// <summary>What a target answers that does not own the VM: then there is nothing to give back.</summary>
    private const string NotOwnedThere = "owned-elsewhere";
    private const string NotFailedOver = "not-failed-over";

    public async Task<StepResult> ChangePointAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        ChangePointInput input = run.InputAs<ChangePointInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        Policy policy = await scene.PolicyOfAsync(vm, stopping);
        RunChoices? chosen = vm.Pending?.Run?.Then(input.Run ?? RunChoices.None);
        FailoverStarted started = await run.AskAsync(
            target, AgentMethods.ChangePoint, chosen is null ? Changed(vm, input, policy) : Whole(chosen.Over(vm), input, policy), cancel, stopping);
        await using (VaultDb db = scene.Open())
        {
            PendingFailover pending = vm.Pending ?? new PendingFailover(FailoverKind.Unplanned, run.Now, RanAtSource: false);
            await db.SetPendingAsync(vm.Vm, started.Line, pending with { Since = run.Now, Run = chosen }, stopping); // a countdown begins anew
        }

        scene.Tell(run.Vm);
        return new StepResult(
            StepWords.With($"{started.VmName} runs at {target.Name} from {input.Point}", started.Notes),
            [.. StepWords.On(target, started.Made), .. started.Branch is { } branch ? [$"{target.Name}: branch {branch}, what ran until now"] : Array.Empty<string>()]);
    }

    /// <summary>Settings that were changed since the run began are taken up, but for what the run was given itself.</summary>
    private static ChangePointRequest Whole(ProtectedVm vm, ChangePointInput input, Policy policy) => new(
        vm.Vm, vm.Replica, input.Point, policy.BranchDays, input.Label, vm.Nics, vm.Cpus ?? 0, vm.MemoryBytes ?? 0, vm.TargetName);

    /// <summary>Begun at the host, with choices that only the host knows: they stay.</summary>
    private static ChangePointRequest Changed(ProtectedVm vm, ChangePointInput input, Policy policy) => new(
        vm.Vm, vm.Replica, input.Point, policy.BranchDays, input.Label, input.Run?.Nics, input.Run?.Cpus, input.Run?.MemoryBytes, input.Run?.Name);

    public async Task<StepResult> EndAtTargetAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        CancelInput input = run.InputAs<CancelInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        Policy policy = await scene.PolicyOfAsync(vm, stopping);
        FailoverCancelled cancelled;
        try
        {
            cancelled = await run.AskAsync(
                target,
                AgentMethods.FailoverCancel,
                new FailoverCancelRequest(vm.Vm, vm.Replica, input.Transfer, vm.SourceHost, policy.BranchDays, input.Start),
                cancel,
                stopping);
        }
        catch (ErrorException refused) when (refused.Error.Code is NotOwnedThere or NotFailedOver && vm.Pending is null)
        {
            return StepResult.Done($"{target.Name} does not have the VM: there is nothing to give back");
        }

        await using (VaultDb db = scene.Open())
        {
            ProtectionRow row = await db.Protections.SingleAsync(candidate => candidate.VmId == vm.Vm.Value, stopping);
            row.Put(null);
            row.Line = cancelled.Line.ToString();
            await db.SaveChangesAsync(stopping);
        }

        scene.Tell(run.Vm);
        return new StepResult(
            $"ended at {target.Name} and offered back as line {cancelled.Line}",
            cancelled.Branch is { } branch ? [$"{target.Name}: branch {branch}, what ran there"] : [],
            input with { Line = cancelled.Line, Parent = cancelled.Parent });
    }

    /// <summary>A source that is away takes the VM when it comes back: the offer waits for it, and nobody else can take it.</summary>
    public async Task<StepResult> AcceptAtSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        CancelInput input = run.InputAs<CancelInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        if (input is not { Line: { } line, Parent: { } parent })
        {
            await run.AskAsync(source, AgentMethods.SourceUnfence, new SourceUnfenceRequest(vm.Vm, vm.Replica, input.Start), cancel, stopping);
            await scene.SetStageAsync(run, ProtectionStage.Replicating, stopping);
            return StepResult.Done($"the fence at {source.Name} is open");
        }

        if (!await run.IsThereAsync(source, stopping))
        {
            return StepResult.Done($"{source.Name} is not connected; it takes the VM when it comes back");
        }

        await run.AskAsync(
            source, AgentMethods.SourceAccept, new SourceAcceptRequest(vm.Vm, vm.Replica, input.Transfer, line, parent, input.Start), cancel, stopping);
        return StepResult.Done(input.Start ? $"{vm.Name} runs at {source.Name}" : $"{vm.Name} is at {source.Name}, off");
    }

    public async Task<StepResult> SettleTransferAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        CancelInput input = run.InputAs<CancelInput>();
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        if (input.Line is null || !await run.IsThereAsync(target, stopping) || !await run.IsThereAsync(source, stopping))
        {
            return StepResult.Done(input.Line is null ? "nothing was in transit" : "done when both hosts are connected");
        }

        await run.AskAsync(target, AgentMethods.TransferSettled, new TransferSettledRequest(vm.Replica, input.Transfer), cancel, stopping);
        return StepResult.Done($"{target.Name} receives again");
    }
}
