using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>A VM rests while its host is worked on (PRE-4): fenced, so that no boot starts it before its time.</summary>
internal sealed class MaintenanceSteps(StepScene scene)
{
    public async Task<StepResult> FenceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await run.AskAsync(
            source, AgentMethods.SourceFence, new SourceFenceRequest(vm.Vm, vm.Replica, $"{source.Name} is in maintenance (job {run.Job})"), cancel, stopping);
        return StepResult.Done($"nothing starts {vm.Name} at {source.Name} until the maintenance is over");
    }

    /// <summary>Waits for the host when it is away. A VM that went over to its target meanwhile stays there.</summary>
    public async Task<StepResult> EndAsync(StepRun run, CancellationToken stopping)
    {
        if (!await scene.IsProtectedAsync(run, stopping))
        {
            return StepResult.Done("its protection has ended, and the fence with it");
        }

        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        if (vm.Stage != ProtectionStage.Replicating)
        {
            return StepResult.Done($"{vm.Name} went over to {target.Name} meanwhile and stays there");
        }

        bool starts = run.InputAs<FailoverInput>().Running;
        await run.AskAsync(source, AgentMethods.SourceUnfence, new SourceUnfenceRequest(vm.Vm, vm.Replica, starts), CancellationToken.None, stopping);
        return StepResult.Done(starts ? $"{vm.Name} runs at {source.Name}" : $"{vm.Name} is off, as before");
    }
}
