using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Protection;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>Tests, the start at the target, and the commit.</summary>
internal sealed class RecoverySteps(StepScene scene, FitAsker fit, AgentRegistry agents, ReportBoard board)
{
    public async Task<StepResult> StartTestAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        TestInput input = run.InputAs<TestInput>();
        (ProtectedVm stored, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        ProtectedVm vm = (input.Run ?? RunChoices.None).Over(stored);
        await run.WaitForAsync(target, cancel, stopping);
        if ((await FitAsync(vm, source, target, stopping)).FirstOrDefault(finding => finding.Refusal is not null)?.Refusal is { } refusal)
        {
            throw new ErrorException(refusal); // before anything is made that would have to be removed
        }

        await ListTestAsync(run, input, stopping); // first in the list, then in the world
        TestStarted started = await run.AskAsync(
            target,
            AgentMethods.TestStart,
            new TestStartRequest(
                vm.Vm, vm.Replica, input.Test, input.Point, input.VmName, input.Isolated, input.Nics, input.Branch, input.Label, vm.Cpus, vm.MemoryBytes),
            cancel,
            stopping);
        string[] networks = [.. new[] { started.Network }.Concat(input.Nics.Select(nic => nic.Network)).OfType<string>().Distinct()];
        string network = networks.Length == 0 ? "without a network" : $"on network {string.Join(", ", networks)}";
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
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        if (FailoverChecks.OfReplica(board.Get(vm.Vm).Target) is { } unusable)
        {
            throw new ErrorException(unusable); // Before the source is fenced for nothing.
        }

        await using VaultDb db = scene.Open();
        SourceSight sight = await SourceWatch.LookAsync(db, agents, board, vm, stopping);
        string text = SourceWatch.Say(sight, vm.Name, source.Name);
        foreach (Finding finding in (await FitAsync(vm, source, target, stopping)).Where(finding => finding.Check.Level == CheckLevel.Error))
        {
            text += $" {finding.Check.Finding.TrimEnd('.')}."; // said, and tried all the same: there may be nothing better
        }

        await scene.Events.AddAsync(
            sight.Knowledge == SourceKnowledge.KnownStopped ? HealthLevel.Normal : HealthLevel.Warning, "failover-begun", vm.Vm.Value, source.Id, $"Unplanned failover of {vm.Name}. {text}", stopping);
        return StepResult.Done(text);
    }

    public async Task<StepResult> StartAtTargetAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        FailoverInput input = run.InputAs<FailoverInput>();
        (ProtectedVm stored, _, HostRow target) = await scene.LoadAsync(run, stopping);
        RunChoices chosen = input.Run ?? RunChoices.None;
        ProtectedVm vm = chosen.Over(stored);
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
        PendingFailover pending = new(input.Transfer is null ? FailoverKind.Unplanned : FailoverKind.Planned, run.Now, input.Running, chosen);
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
        string name = board.Get(vm.Vm).Target?.Failover?.VmName ?? vm.TargetName; // what the run called it
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
            committed.Pending is { } pending ? pending + (board.Get(run.Vm).Target?.Failover?.Power is VmPower.Running ? "; the VM runs meanwhile" : "") : $"{name} runs at {target.Name} on its own disks",
            [.. committed.Images.Select(image => $"{target.Name}: {image}")]);
    }

    /// <summary>Of the VM as it was last seen: its machine in an older point may have been another.</summary>
    private async Task<IReadOnlyList<Finding>> FitAsync(ProtectedVm vm, HostRow source, HostRow target, CancellationToken stopping)
    {
        await using VaultDb db = scene.Open();
        string? json = await db.Vms.Where(row => row.HostId == source.Id && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(stopping);
        return VaultJson.Read(json, VaultJson.Default.DiscoveredVm) is { } discovered ? await fit.CheckAsync(discovered, source, target, stopping) : [];
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
