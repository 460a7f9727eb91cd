using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>Orders to a source that replicates, and settings.</summary>
internal sealed class ReplicationSteps(StepScene scene)
{
    public async Task<StepResult> PauseAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await run.AskAsync(source, AgentMethods.SourcePause, new SourcePauseRequest(vm.Vm, vm.Replica, run.InputAs<PauseInput>().By), cancel, stopping);
        return StepResult.Done("no more cuts until it is resumed");
    }

    public async Task<StepResult> ResumeAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await run.AskAsync(source, AgentMethods.SourceResume, new SourceResumeRequest(vm.Vm, vm.Replica), cancel, stopping);
        return StepResult.Done("the next cut is made at once");
    }

    public async Task<StepResult> ResyncAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await run.AskAsync(source, AgentMethods.SourceResync, new SourceResyncRequest(vm.Vm, vm.Replica), cancel, stopping);
        return StepResult.Done("under way; all listed points stay good");
    }

    public async Task<StepResult> MarkAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        MarkInput input = run.InputAs<MarkInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        PointMade made = await run.AskAsync(
            source, AgentMethods.SourceCycle, new SourceCycleRequest(vm.Vm, vm.Replica, PointKind.Bookmark, input.Label), cancel, stopping);
        return new StepResult($"point {made.Point.Id}", [$"point {made.Point.Id}{(input.Label is null ? "" : $", {input.Label}")}"]);
    }

    public async Task<StepResult> SettingsAtSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        if (vm.Stage == ProtectionStage.Preparing || !await run.IsThereAsync(source, stopping))
        {
            return TakenUpLater(vm, source);
        }

        Policy policy = await scene.PolicyOfAsync(vm, stopping);
        await run.AskAsync(source, AgentMethods.SourceConfigure, new SourceConfigureRequest(vm.Vm, SideSettings.OfSource(policy)), cancel, stopping);
        return StepResult.Done(string.Join(", ", run.InputAs<SettingsInput>().Changed));
    }

    public async Task<StepResult> DisksAtSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        if (!run.InputAs<SettingsInput>().Disks)
        {
            return StepResult.Done("as before");
        }

        if (vm.Stage == ProtectionStage.Preparing || !await run.IsThereAsync(source, stopping))
        {
            return TakenUpLater(vm, source);
        }

        await run.AskAsync(source, AgentMethods.SourceDisks, new SourceDisksRequest(vm.Vm, vm.Replica, vm.ExcludedDisks), cancel, stopping);
        return StepResult.Done(vm.ExcludedDisks.Count == 0 ? "all disks take part" : $"left out: {string.Join(", ", vm.ExcludedDisks)}");
    }

    public async Task<StepResult> SettingsAtTargetAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        if (vm.Stage == ProtectionStage.Preparing || !await run.IsThereAsync(target, stopping))
        {
            return TakenUpLater(vm, target);
        }

        Policy policy = await scene.PolicyOfAsync(vm, stopping);
        await run.AskAsync(target, AgentMethods.ReplicaConfigure, new ReplicaConfigureRequest(vm.Replica, SideSettings.OfTarget(vm, policy)), cancel, stopping);
        return StepResult.Done("good from the next start there on");
    }

    private static StepResult TakenUpLater(ProtectedVm vm, HostRow host) => vm.Stage == ProtectionStage.Preparing
        ? StepResult.Done("taken up when the replica is made")
        : new StepResult($"{host.Name} is not connected; it takes it up when it comes back", [$"{host.Name} is not connected: it takes the change up when it comes back"]);
}
