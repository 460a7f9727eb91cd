using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>
/// Before an unplanned failover, what can still be had of the source (FO-2): its part is asked for and gone on without. A
/// source that does not answer, refuses or is slow never holds the failover up for longer than the shutdown's limit.
/// </summary>
internal sealed class TrySteps(StepScene scene)
{
    /// <summary>An agent that is asked for an answer within the limit gets so much longer for saying it.</summary>
    private static readonly TimeSpan _margin = TimeSpan.FromSeconds(30);

    public async Task<StepResult> TryFenceSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await scene.SetFailingOverAsync(run, stopping);
        return await TryAsync(run, source, async limit =>
        {
            await run.TryAskAsync(
                source, AgentMethods.SourceFence, new SourceFenceRequest(vm.Vm, vm.Replica, $"job {run.Job}, {run.JobName}, is moving it"), limit, cancel, stopping);
            return StepResult.Done($"nobody can start {vm.Name} at {source.Name}");
        }, cancel);
    }

    public async Task<StepResult> TryShutDownGuestAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        return await TryAsync(run, source, async limit =>
        {
            GuestStopped stopped = await run.TryAskAsync(
                source, AgentMethods.SourceStopGuest, new SourceStopGuestRequest(vm.Vm, vm.Replica, PowerOff: false, input.ShutdownLimit), limit, cancel, stopping);
            return stopped.Off
                ? new StepResult($"off after {Durations.Rough(stopped.Waited)}", [], input with { Off = true })
                : StepResult.Done($"still running after {Durations.Rough(stopped.Waited)}: its copy is stopped when it hears of the failover");
        }, cancel);
    }

    public async Task<StepResult> TryLastChangeAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        if (!input.Off)
        {
            return StepResult.Done("not sent: the guest was not shut down");
        }

        return await TryAsync(run, source, async limit =>
        {
            PointMade made = await run.TryAskAsync(
                source, AgentMethods.SourceLastChange, new SourceLastChangeRequest(vm.Vm, vm.Replica, PointKind.Planned), limit, cancel, stopping);
            return new StepResult(StepWords.LastChange(made.Point), [], input with { Point = input.Point ?? made.Point.Id });
        }, cancel);
    }

    private static async Task<StepResult> TryAsync(StepRun run, HostRow source, Func<TimeSpan, Task<StepResult>> attempt, CancellationToken cancel)
    {
        if (!await run.IsThereAsync(source, cancel))
        {
            return StepResult.Done($"not done: {source.Name} is not connected");
        }

        try
        {
            return await attempt(run.InputAs<FailoverInput>().ShutdownLimit + _margin);
        }
        catch (ErrorException refused)
        {
            return StepResult.Done($"not done: {refused.Error.What}. {refused.Error.Why}");
        }
    }
}
