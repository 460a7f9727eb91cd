using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Protection;
using Understudy.Vault.Protection.Commands;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>Making and ending a protection.</summary>
internal sealed class ProtectSteps(StepScene scene, BothSides sides, SiteLinks links, ReportBoard board)
{
    public async Task<StepResult> CheckBothSidesAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        return StepResult.Done(await sides.CheckAsync(run, vm, source, target, cancel, stopping));
    }

    public async Task<StepResult> CreateReplicaAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        Policy policy = await scene.PolicyOfAsync(vm, stopping);
        ProtectInput input = run.InputAs<ProtectInput>();
        DiscoveredVm discovered = await scene.DiscoveredAsync(vm, source, stopping);
        ReplicaCreated created = await run.AskAsync(
            target,
            AgentMethods.ReplicaCreate,
            new ReplicaCreateRequest(
                vm.Vm,
                vm.Name,
                vm.Replica,
                vm.SourceHost,
                vm.TargetName,
                ProtectCommand.DisksThatTakePart(discovered, vm.ExcludedDisks),
                SideSettings.OfTarget(vm, policy),
                input.Seeds,
                await links.TargetDialsAsync(source, target, stopping) ? source.ReplicationEndpoint : null,
                vm.Pool),
            cancel,
            stopping);
        await using VaultDb db = scene.Open();
        string line = created.Line.ToString();
        await db.Protections.Where(row => row.VmId == vm.Vm.Value).ExecuteUpdateAsync(row => row.SetProperty(r => r.Line, line), stopping);
        return new StepResult($"at {target.Name}", StepWords.On(target, created.Made));
    }

    public async Task<StepResult> StartSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        ProtectInput input = run.InputAs<ProtectInput>();
        (ProtectedVm vm, HostRow source, HostRow target) = await scene.LoadAsync(run, stopping);
        Policy policy = await scene.PolicyOfAsync(vm, stopping);
        await run.AskAsync(
            source,
            AgentMethods.SourceProtect,
            new SourceProtectRequest(
                vm.Vm,
                vm.Replica,
                vm.Line ?? throw new ErrorException(Errors.Internal($"{vm.Name} has no line: its replica was never made")),
                vm.TargetHost,
                target.ReplicationEndpoint,
                SideSettings.OfSource(policy),
                vm.ExcludedDisks.Count == 0 ? null : vm.ExcludedDisks,
                input.StartAt,
                await links.TargetDialsAsync(source, target, stopping)),
            cancel,
            stopping);
        await scene.SetStageAsync(run, ProtectionStage.Replicating, stopping);
        string begins = input.StartAt is { } at ? $"; the first copy begins at {at:yyyy-MM-dd HH:mm} UTC" : "";
        return StepResult.Done($"from {source.Name} to {target.Name}{begins}");
    }

    /// <summary>Waits as long as it takes: the copy goes on by itself after any interruption, and cancelling ends the waiting only.</summary>
    public async Task<StepResult> FirstCopyAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        while (true)
        {
            Task change = scene.NextOf(run.Vm);
            if (!await scene.IsProtectedAsync(run, stopping))
            {
                throw new OperationCanceledException("the protection has ended"); // this step does not hold the VM
            }

            VmReports reports = board.Get(run.Vm);
            if (reports.HasPoints || reports.Target?.Failover is not null) // Failed over without this vault, it had one.
            {
                return StepResult.Done(reports.Newest is { } point ? $"first point {point.CutAt:yyyy-MM-ddTHH:mm:ssZ}{Remarks(reports.Target?.Seed)}" : null);
            }

            if (reports is { Target.Seed: { Taken: false, BytesTotal: > 0 } seed, Source.Error: null })
            {
                run.Reporter.Report((double)seed.BytesDone / seed.BytesTotal, $"reading the seed: {Sizes.Format(seed.BytesDone)} of {Sizes.Format(seed.BytesTotal)}");
            }
            else if (reports.Source is { } source)
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

    private static string Remarks(SeedProgress? seed) => string.Concat((seed?.Remarks ?? []).Select(remark => $"; {remark.TrimEnd('.')}"));

    public async Task<StepResult> StopSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        SourceUnprotectRequest end = new(vm.Vm, vm.Replica, KeepGuard: false, board.Get(vm.Vm).Target?.Ownership?.Line ?? vm.Line);
        await using (VaultDb db = scene.Open())
        {
            // Of an end that was to leave the VM at its target, before somebody claimed it here: its disks are no old ones.
            await db.ForgetRetiredAsync(vm.Replica.Value, stopping);
        }

        if (!await run.IsThereAsync(source, stopping))
        {
            return await RemoveLaterAsync(run, vm, source, HostDuties.Source, end, stopping);
        }

        Removed removed = await run.AskAsync(source, AgentMethods.SourceUnprotect, end, cancel, stopping);
        return StepWords.AfterRemoval(source, removed);
    }

    /// <summary>The VM stays at the target as an ordinary one. What it was here stays blocked and listed until it is deleted by name.</summary>
    public async Task<StepResult> RetireSourceAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, HostRow source, _) = await scene.LoadAsync(run, stopping);
        OwnershipInfo? owner = board.Get(vm.Vm).Target?.Ownership;
        SourceUnprotectRequest retirement = new(vm.Vm, vm.Replica, KeepGuard: true, owner?.Line ?? vm.Line, owner?.Since);
        await using (VaultDb db = scene.Open())
        {
            if (!await db.Retired.AnyAsync(row => row.Replica == vm.Replica.Value, stopping))
            {
                SourceReport? report = board.Get(vm.Vm).Source;
                db.Retired.Add(new RetiredRow
                {
                    Replica = vm.Replica.Value,
                    VmId = vm.Vm.Value,
                    VmName = vm.Name,
                    SourceHost = source.Id,
                    ReportJson = report is null ? null : VaultJson.Write(report, VaultJson.Default.SourceReport),
                });
                await db.SaveChangesAsync(stopping); // listed first, then left alone
            }
        }

        if (!await run.IsThereAsync(source, stopping))
        {
            return await RemoveLaterAsync(run, vm, source, HostDuties.Source, retirement, stopping);
        }

        Removed removed = await run.AskAsync(source, AgentMethods.SourceUnprotect, retirement, cancel, stopping);
        if (removed.Kept.Count == 0)
        {
            await using VaultDb db = scene.Open();
            await db.ForgetRetiredAsync(vm.Replica.Value, stopping);
        }

        return StepWords.AfterRemoval(source, removed);
    }

    public async Task<StepResult> RemoveReplicaAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        if (!await run.IsThereAsync(target, stopping))
        {
            return await RemoveLaterAsync(run, vm, target, HostDuties.Target, atSource: null, stopping);
        }

        await using VaultDb db = scene.Open();
        await NameNewestOwnerAsync(db, vm, stopping);
        VmReports said = board.Get(vm.Vm);
        bool claimedBack = vm.Stage == ProtectionStage.FailedOver && Standing.IsOwnedAtSource(said.Source, said.Target);
        TargetUnprotectRequest end = new(
            vm.Vm,
            vm.Replica,
            SourceUntold: await db.IsSourceUntoldAsync(vm.Replica.Value, stopping),
            AtSource: !run.Has(StepKind.RetireSource) && !claimedBack);
        Removed removed = await run.AskAsync(target, AgentMethods.TargetUnprotect, end, cancel, stopping);
        return StepWords.AfterRemoval(target, removed);
    }

    /// <summary>A source that hears of the end later is told of the newest owner there was: the target, which knows, is about to forget it.</summary>
    private async Task NameNewestOwnerAsync(VaultDb db, ProtectedVm vm, CancellationToken stopping)
    {
        if (board.Get(vm.Vm).Target?.Ownership is not { } owner)
        {
            return;
        }

        foreach (CleanupRow row in await db.Cleanups.AsNoTracking().Where(row => row.Replica == vm.Replica.Value && row.Side == HostDuties.Source && row.KeepGuard).ToListAsync(stopping))
        {
            if (!LineId.TryParse(row.Line, out LineId known) || owner.Line.IsNewerThan(known))
            {
                // Where it stands: the source may be back, and its row on the way out.
                string line = owner.Line.ToString();
                await db.Cleanups.Where(same => same.OperationId == row.OperationId)
                    .ExecuteUpdateAsync(same => same.SetProperty(r => r.Line, line).SetProperty(r => r.MintedAt, owner.Since), stopping);
            }
        }
    }

    /// <summary>A host that is away does not hold the end up: what is left there is removed when it comes back (REG-6).</summary>
    private async Task<StepResult> RemoveLaterAsync(
        StepRun run, ProtectedVm vm, HostRow host, string side, SourceUnprotectRequest? atSource, CancellationToken stopping)
    {
        await using VaultDb db = scene.Open();
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
                KeepGuard = run.Has(StepKind.RetireSource),
                Line = atSource?.Line?.ToString(),
                MintedAt = atSource?.MintedAt,
            });
            await db.SaveChangesAsync(stopping);
        }

        string text = $"{host.Name} is not connected: what is left there is removed when it comes back";
        return new StepResult(text, [text]);
    }
}
