using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>Tests, the start at the target, and the commit.</summary>
internal sealed class RecoverySteps(StepScene scene, AgentRegistry agents, ReportBoard board)
{
    public async Task<StepResult> StartTestAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        TestInput input = run.InputAs<TestInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        await ListTestAsync(run, input, stopping); // first in the list, then in the world
        TestStarted started = await run.AskAsync(
            target,
            AgentMethods.TestStart,
            new TestStartRequest(
                vm.Vm, vm.Replica, input.Test, input.Point, input.VmName, input.Isolated, input.Nics, input.Branch, input.Label, vm.Cpus, vm.MemoryBytes),
            cancel,
            stopping);
        string network = started.Network is { } name ? $"on network {name}" : "without a network";
        return new StepResult(StepWords.With($"{started.VmName} runs at {target.Name} {network}", started.Notes), StepWords.On(target, started.Made));
    }

    public async Task<StepResult> RemoveTestAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        TestInput input = run.InputAs<TestInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        Removed removed = await run.AskAsync(
            target, AgentMethods.TestComplete, new TestCompleteRequest(vm.Replica, input.Test, run.Note), cancel, stopping);
        await using VaultDb db = scene.Open();
        await db.Tests.Where(row => row.Id == input.Test.Value).ExecuteDeleteAsync(stopping);
        scene.Tell(run.Vm);
        return StepWords.AfterRemoval(target, removed);
    }

    public async Task<StepResult> AssessSourceAsync(StepRun run, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        await using VaultDb db = scene.Open();
        SourceSight sight = await SourceWatch.LookAsync(db, agents, board, vm, stopping);
        string text = SourceWatch.Say(sight, vm.Name, source.Name);
        await scene.Events.AddAsync(
            sight.Knowledge == SourceKnowledge.KnownStopped ? HealthLevel.Normal : HealthLevel.Warning, "failover-begun", vm.Vm.Value, source.Id, $"Unplanned failover of {vm.Name}. {text}", stopping);
        return StepResult.Done(text);
    }

    public async Task<StepResult> StartAtTargetAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        await scene.SetFailingOverAsync(run, stopping);
        RecoveryPointId point = input.Point ?? await NewestAsync(run, vm, target, cancel, stopping);
        Policy policy = await scene.PolicyOfAsync(vm, stopping);
        FailoverStarted started = await run.AskAsync(
            target,
            AgentMethods.FailoverStart,
            new FailoverStartRequest(
                vm.Vm, vm.Replica, point, vm.TargetName, vm.Nics, input.Transfer, input.Test, policy.BranchDays, input.Label, vm.Cpus, vm.MemoryBytes),
            cancel,
            stopping);
        PendingFailover pending = new(input.Transfer is null ? FailoverKind.Unplanned : FailoverKind.Planned, run.Now, input.Running);
        await using (VaultDb db = scene.Open())
        {
            await db.SetPendingAsync(vm.Vm, started.Line, pending, stopping);
        }

        scene.Tell(run.Vm);
        return new StepResult(
            StepWords.With($"{started.VmName} runs at {target.Name} from {point}; commit it when it is good", started.Notes),
            [.. StepWords.On(target, started.Made), .. started.Branch is { } branch ? [$"{target.Name}: branch {branch}, what the test had written"] : Array.Empty<string>()],
            input with { Point = point });
    }

    private static async Task<RecoveryPointId> NewestAsync(StepRun run, ProtectedVm vm, HostRow target, CancellationToken cancel, CancellationToken stopping)
    {
        PointsAnswer all = await run.AskAsync(target, AgentMethods.PointsList, new PointsRequest(vm.Replica), cancel, stopping);
        return all.Points.Count == 0 ? throw new ErrorException(Errors.UnknownPoint(vm.Name, PointChoice.Latest)) : all.Points[^1].Id;
    }

    public async Task<StepResult> CommitAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        Committed committed = await run.AskAsync(target, AgentMethods.Commit, new CommitRequest(vm.Vm, vm.Replica), cancel, stopping);
        await using (VaultDb db = scene.Open())
        {
            ProtectionRow row = await db.Protections.SingleAsync(candidate => candidate.VmId == vm.Vm.Value, stopping);
            row.Put(null);
            row.Stage = nameof(ProtectionStage.FailedOver);
            await db.SaveChangesAsync(stopping);
        }

        scene.Tell(run.Vm);
        return new StepResult(
            committed.Pending is { } pending ? $"the last merge waits: {pending}" : $"{vm.TargetName} runs at {target.Name} on its own disks",
            [.. committed.Images.Select(image => $"{target.Name}: {image}")]);
    }

    private async Task ListTestAsync(StepRun run, TestInput input, CancellationToken stopping)
    {
        await using VaultDb db = scene.Open();
        if (!await db.Tests.AnyAsync(row => row.Id == input.Test.Value, stopping))
        {
            db.Tests.Add(new TestRow
            {
                Id = input.Test.Value,
                VmId = run.Vm.Value,
                VmName = input.VmName,
                Point = input.Point.ToString(),
                JobId = run.Job.Value,
                StartedAt = run.Now,
                Label = input.Label,
            });
            await db.SaveChangesAsync(stopping);
        }

        scene.Tell(run.Vm);
    }
}
