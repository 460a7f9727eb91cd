using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

internal sealed partial class StepExecutor
{
    private async Task<StepResult> StartTestAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        TestInput input = Input<TestInput>(run);
        (ProtectedVm vm, _, HostRow target) = await LoadAsync(run, stopping);
        await ListTestAsync(run, input, stopping); // first in the list, then in the world
        TestStarted started = await run.AskAsync(
            vm.TargetHost,
            target.Name,
            AgentMethods.TestStart,
            new TestStartRequest(vm.Vm, vm.Replica, input.Test, input.Point, input.VmName, input.Isolated, input.Nics),
            cancel,
            stopping);
        string network = started.Network is { } name ? $"on network {name}" : "without a network";
        return new StepResult(With($"{started.VmName} runs at {target.Name} {network}", started.Notes), On(target, started.Made));
    }

    private async Task<StepResult> RemoveTestAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        TestInput input = Input<TestInput>(run);
        (ProtectedVm vm, _, HostRow target) = await LoadAsync(run, stopping);
        Removed removed = await run.AskAsync(
            vm.TargetHost, target.Name, AgentMethods.TestComplete, new TestCompleteRequest(vm.Replica, input.Test, run.Note), cancel, stopping);
        await using VaultDb db = storage.Open();
        await db.Tests.Where(row => row.Id == input.Test.Value).ExecuteDeleteAsync(stopping);
        changes.Publish(Changes.Vm(run.Vm.Value));
        return AfterRemoval(target, removed);
    }

    private async Task<StepResult> AssessSourceAsync(StepRun run, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await LoadAsync(run, stopping);
        await using VaultDb db = storage.Open();
        SourceKnowledge knowledge = await SourceWatch.KnowAsync(db, agents, vm, stopping);
        string text = SourceWatch.Say(knowledge, vm.Name, source.Name);
        await events.AddAsync(
            knowledge == SourceKnowledge.KnownStopped ? HealthLevel.Normal : HealthLevel.Warning, "failover-begun", vm.Vm.Value, source.Id, $"Unplanned failover of {vm.Name}. {text}", stopping);
        return StepResult.Done(text);
    }

    private async Task<StepResult> StartAtTargetAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = Input<FailoverInput>(run);
        (ProtectedVm vm, _, HostRow target) = await LoadAsync(run, stopping);
        await SetStageAsync(run, ProtectionStage.FailingOver, stopping);
        FailoverStarted started = await run.AskAsync(
            vm.TargetHost,
            target.Name,
            AgentMethods.FailoverStart,
            new FailoverStartRequest(vm.Vm, vm.Replica, input.Point, vm.TargetName, vm.Nics),
            cancel,
            stopping);
        await using (VaultDb db = storage.Open())
        {
            string line = started.Line.ToString();
            await db.Protections.Where(row => row.VmId == vm.Vm.Value).ExecuteUpdateAsync(row => row.SetProperty(r => r.Line, line), stopping);
        }

        await SetStageAsync(run, ProtectionStage.CommitPending, stopping);
        return new StepResult(With($"{started.VmName} runs at {target.Name}; commit it when it is good", started.Notes), On(target, started.Made));
    }

    private async Task<StepResult> CommitAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, _, HostRow target) = await LoadAsync(run, stopping);
        Committed committed = await run.AskAsync(vm.TargetHost, target.Name, AgentMethods.Commit, new CommitRequest(vm.Vm, vm.Replica), cancel, stopping);
        await SetStageAsync(run, ProtectionStage.FailedOver, stopping);
        return new StepResult(
            committed.Pending is { } pending ? $"the last merge waits: {pending}" : $"{vm.TargetName} runs at {target.Name} on its own disks",
            [.. committed.Images.Select(image => $"{target.Name}: {image}")]);
    }

    private async Task<StepResult> ExportAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        ExportInput input = Input<ExportInput>(run);
        (ProtectedVm vm, _, HostRow target) = await LoadAsync(run, stopping);
        PointExported exported = await run.AskAsync(
            vm.TargetHost, target.Name, AgentMethods.PointExport, new PointExportRequest(vm.Replica, input.Point, input.Folder, input.Format), cancel, stopping);
        return new StepResult($"{exported.Files.Count} files in {input.Folder} at {target.Name}", [.. exported.Files.Select(file => $"{target.Name}: {file}")]);
    }

    private async Task ListTestAsync(StepRun run, TestInput input, CancellationToken stopping)
    {
        await using VaultDb db = storage.Open();
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
            });
            await db.SaveChangesAsync(stopping);
        }

        changes.Publish(Changes.Vm(run.Vm.Value));
    }

    private static string With(string text, IReadOnlyList<string>? notes) => notes is { Count: > 0 } ? $"{text}. {string.Join(" ", notes)}" : text;

    private static TInput Input<TInput>(StepRun run)
        where TInput : JobInput =>
        run.Input as TInput ?? throw new UnreachableException($"job {run.Job} has the input of another action");
}
