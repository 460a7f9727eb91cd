using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

internal sealed partial class StepExecutor
{
    private async Task<StepResult> CheckBothSidesAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, HostRow target) = await LoadAsync(run, stopping);
        List<Finding> findings = [];
        foreach (HostRow host in new[] { source, target })
        {
            run.Reporter.Report(null, $"checking {host.Name}");
            findings.AddRange(await hosts.CheckAsync(host, stopping));
        }

        if (findings.FirstOrDefault(finding => finding.Refusal is not null)?.Refusal is { } refusal)
        {
            throw new ErrorException(refusal);
        }

        run.Reporter.Report(null, $"trying the way from {source.Name} to {target.Name}");
        PeerCheckAnswer answer = await run.AskAsync(
            vm.SourceHost, source.Name, AgentMethods.PeerCheck, new PeerCheckRequest(target.ReplicationEndpoint, vm.TargetHost), cancel, stopping);
        if (answer.Error is { } unreachable)
        {
            throw new ErrorException(unreachable);
        }

        string[] warnings = [.. findings.Where(finding => finding.Check.Level == CheckLevel.Warning).Select(finding => finding.Check.Finding)];
        return StepResult.Done(warnings.Length == 0 ? "no findings" : string.Join(" ", warnings));
    }

    private async Task<StepResult> CreateReplicaAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, HostRow target) = await LoadAsync(run, stopping);
        Policy policy = await PolicyOfAsync(vm, stopping);
        DiscoveredVm discovered = await DiscoveredAsync(vm, source, stopping);
        ReplicaCreated created = await run.AskAsync(
            vm.TargetHost,
            target.Name,
            AgentMethods.ReplicaCreate,
            new ReplicaCreateRequest(
                vm.Vm,
                vm.Name,
                vm.Replica,
                vm.SourceHost,
                vm.TargetName,
                [.. discovered.Disks.Where(disk => disk is { Device: "disk", ReadOnly: false })],
                TargetSettings.Of(vm, policy)),
            cancel,
            stopping);
        await using VaultDb db = storage.Open();
        string line = created.Line.ToString();
        await db.Protections.Where(row => row.VmId == vm.Vm.Value).ExecuteUpdateAsync(row => row.SetProperty(r => r.Line, line), stopping);
        return new StepResult($"at {target.Name}", On(target, created.Made));
    }

    private async Task<StepResult> StartSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, HostRow target) = await LoadAsync(run, stopping);
        Policy policy = await PolicyOfAsync(vm, stopping);
        await run.AskAsync(
            vm.SourceHost,
            source.Name,
            AgentMethods.SourceProtect,
            new SourceProtectRequest(
                vm.Vm,
                vm.Replica,
                vm.Line ?? throw new ErrorException(Errors.Internal($"{vm.Name} has no line: its replica was never made")),
                vm.TargetHost,
                target.ReplicationEndpoint,
                new SourceSettings(policy.Frequency, policy.Compression)),
            cancel,
            stopping);
        await SetStageAsync(run, ProtectionStage.Replicating, stopping);
        return StepResult.Done($"from {source.Name} to {target.Name}");
    }

    /// <summary>Waits as long as it takes: the copy goes on by itself after any interruption, and cancelling ends the waiting only.</summary>
    private async Task<StepResult> FirstCopyAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        while (true)
        {
            Task change = changes.Next(Changes.Vm(run.Vm.Value));
            VmReports reports = board.Get(run.Vm);
            if (reports.HasPoints)
            {
                return StepResult.Done(reports.Newest is { } point ? $"first point {point.CutAt:yyyy-MM-ddTHH:mm:ssZ}" : null);
            }

            if (reports.Source is { } source)
            {
                run.Reporter.Report(
                    source.BytesTotal > 0 ? Math.Min(1, (double)source.BytesDone / source.BytesTotal) : null,
                    source.Error is { } error
                        ? $"interrupted, tried again: {error.What}. {error.Why}"
                        : $"{Sizes.Format(source.BytesDone)} of {Sizes.Format(source.BytesTotal)}, {Sizes.Format(source.BytesPerSecond)}/s");
            }

            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, stopping);
            await change.WaitAsync(either.Token);
        }
    }

    private async Task<StepResult> StopSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await LoadAsync(run, stopping);
        if (agents.Find(vm.SourceHost) is null)
        {
            return await RemoveLaterAsync(run, vm, source, HostDuties.Source, stopping);
        }

        Removed removed = await run.AskAsync(
            vm.SourceHost, source.Name, AgentMethods.SourceUnprotect, new SourceUnprotectRequest(vm.Vm, vm.Replica), cancel, stopping);
        return AfterRemoval(source, removed);
    }

    private async Task<StepResult> RemoveReplicaAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, _, HostRow target) = await LoadAsync(run, stopping);
        if (agents.Find(vm.TargetHost) is null)
        {
            return await RemoveLaterAsync(run, vm, target, HostDuties.Target, stopping);
        }

        Removed removed = await run.AskAsync(
            vm.TargetHost, target.Name, AgentMethods.TargetUnprotect, new TargetUnprotectRequest(vm.Vm, vm.Replica), cancel, stopping);
        return AfterRemoval(target, removed);
    }

    /// <summary>A host that is away does not hold the end up: what is left there is removed when it comes back (REG-6).</summary>
    private async Task<StepResult> RemoveLaterAsync(StepRun run, ProtectedVm vm, HostRow host, string side, CancellationToken stopping)
    {
        await using VaultDb db = storage.Open();
        if (!await db.Cleanups.AnyAsync(row => row.OperationId == run.Operation.Value, stopping))
        {
            db.Cleanups.Add(new CleanupRow
            {
                OperationId = run.Operation.Value,
                HostId = host.Id,
                VmId = vm.Vm.Value,
                Replica = vm.Replica.Value,
                VmName = vm.Name,
                Side = side,
            });
            await db.SaveChangesAsync(stopping);
        }

        string text = $"{host.Name} is not connected: what is left there is removed when it comes back";
        return new StepResult(text, [text]);
    }

    private async Task<DiscoveredVm> DiscoveredAsync(ProtectedVm vm, HostRow source, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        string? json = await db.Vms.Where(row => row.HostId == source.Id && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(cancellationToken);
        return VaultJson.Read(json, VaultJson.Default.DiscoveredVm) ?? throw new ErrorException(Errors.UnknownVm(vm.Name));
    }

    private static StepResult AfterRemoval(HostRow host, Removed removed) =>
        new(removed.Kept.Count == 0 ? $"nothing of ours is left at {host.Name}" : $"{host.Name} keeps {string.Join(", ", removed.Kept)}",
            [.. removed.Kept.Select(kept => $"{host.Name} keeps {kept}")]);

    private static string[] On(HostRow host, IReadOnlyList<string> made) => [.. made.Select(line => $"{host.Name}: {line}")];
}
