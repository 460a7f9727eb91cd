using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>Between rows and records of protected VMs.</summary>
internal static class ProtectionRows
{
    public static async Task<ProtectedVm?> FindProtectedAsync(this VaultDb db, VmId vm, CancellationToken cancellationToken)
    {
        ProtectionRow? row = await db.Protections.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.VmId == vm.Value, cancellationToken);
        return row is null ? null : ToModel(row, await db.Tests.AsNoTracking().Where(test => test.VmId == vm.Value).OrderBy(test => test.StartedAt).ToListAsync(cancellationToken));
    }

    public static ProtectedVm ToModel(ProtectionRow row, IEnumerable<TestRow> tests) => new()
    {
        Vm = new VmId(row.VmId),
        Name = row.Name,
        SourceHost = new HostId(row.SourceHost),
        TargetHost = new HostId(row.TargetHost),
        Replica = new ReplicaId(row.Replica),
        Line = LineId.TryParse(row.Line, out LineId line) ? line : null,
        Policy = row.Policy,
        TargetName = row.TargetName,
        Nics = VaultJson.Read(row.NicsJson, VaultJson.Default.IReadOnlyListNicPlan) ?? [],
        Cpus = row.Cpus,
        MemoryBytes = row.MemoryBytes,
        Pool = row.Pool,
        ExcludedDisks = VaultJson.Read(row.ExcludedJson, VaultJson.Default.IReadOnlyListString) ?? [],
        Stage = Enum.Parse<ProtectionStage>(row.Stage),
        Tests = [.. tests.Select(ToModel)],
        RanAtSource = row.RanAtSource,
        Pending = row.PendingSince is { } since && EnumWords<FailoverKind>.TryParse(row.FailoverKind, out FailoverKind kind)
            ? new PendingFailover(kind, since, row.RanAtSource, VaultJson.Read(row.PendingRunJson, VaultJson.Default.RunChoices))
            : null,
    };

    public static ProtectionRow ToRow(ProtectedVm vm) => new()
    {
        VmId = vm.Vm.Value,
        Name = vm.Name,
        SourceHost = vm.SourceHost.Value,
        TargetHost = vm.TargetHost.Value,
        Replica = vm.Replica.Value,
        Line = vm.Line?.ToString(),
        Policy = vm.Policy,
        TargetName = vm.TargetName,
        NicsJson = VaultJson.Write(vm.Nics, VaultJson.Default.IReadOnlyListNicPlan),
        Cpus = vm.Cpus,
        MemoryBytes = vm.MemoryBytes,
        Pool = vm.Pool,
        ExcludedJson = VaultJson.Write(vm.ExcludedDisks, VaultJson.Default.IReadOnlyListString),
        Stage = vm.Stage.ToString(),
    };

    /// <summary>Old disks of an ended protection are not listed any more: there are none.</summary>
    public static Task ForgetRetiredAsync(this VaultDb db, Guid replica, CancellationToken cancellationToken) =>
        db.Retired.Where(row => row.Replica == replica).ExecuteDeleteAsync(cancellationToken);

    /// <summary>The VM came to stay at its target, and its source was away when protection ended.</summary>
    public static Task<bool> IsSourceUntoldAsync(this VaultDb db, Guid replica, CancellationToken cancellationToken) =>
        db.Cleanups.AnyAsync(row => row.Replica == replica && row.Side == HostDuties.Source && row.KeepGuard, cancellationToken);

    public static async Task SetStageAsync(this VaultDb db, VmId vm, ProtectionStage stage, CancellationToken cancellationToken)
    {
        string text = stage.ToString();
        await db.Protections.Where(row => row.VmId == vm.Value)
            .ExecuteUpdateAsync(row => row.SetProperty(r => r.Stage, text), cancellationToken);
    }

    /// <summary>A failover begins; what it may have to undo is known from here on.</summary>
    public static async Task SetFailingOverAsync(this VaultDb db, VmId vm, bool ranAtSource, CancellationToken cancellationToken) =>
        await db.Protections.Where(row => row.VmId == vm.Value).ExecuteUpdateAsync(
            row => row.SetProperty(r => r.Stage, nameof(ProtectionStage.FailingOver)).SetProperty(r => r.RanAtSource, ranAtSource), cancellationToken);

    /// <summary>The VM runs at its target from now on, and nobody has committed it.</summary>
    public static async Task SetPendingAsync(this VaultDb db, VmId vm, LineId line, PendingFailover pending, CancellationToken cancellationToken)
    {
        ProtectionRow row = await db.Protections.SingleAsync(candidate => candidate.VmId == vm.Value, cancellationToken);
        row.Line = line.ToString();
        row.Put(pending);
        await db.SaveChangesAsync(cancellationToken);
    }

    /// <summary>Begins or ends the wait for a commit; a countdown begins anew.</summary>
    public static void Put(this ProtectionRow row, PendingFailover? pending)
    {
        row.Stage = (pending is null ? ProtectionStage.Replicating : ProtectionStage.CommitPending).ToString();
        row.PendingSince = pending?.Since;
        row.FailoverKind = pending?.Kind.Word();
        row.RanAtSource = pending?.RanAtSource ?? row.RanAtSource; // a source that was away learns it with the cancel
        row.PendingRunJson = pending?.Run is { } run ? VaultJson.Write(run, VaultJson.Default.RunChoices) : null;
        row.CountdownJob = null;
    }

    /// <summary>Takes over what the agents say, outside of a job.</summary>
    /// <returns>The stage, when it is another.</returns>
    public static ProtectionStage? Follow(this ProtectionRow row, VmReports reports, DateTimeOffset now)
    {
        if (reports.Target is not { } report || Standing.Reconcile(Enum.Parse<ProtectionStage>(row.Stage), reports.Source, report) is not { } found)
        {
            return null;
        }

        if (found == ProtectionStage.CommitPending && row.PendingSince is null)
        {
            bool ran = reports.Source is not { Power: VmPower.Off or VmPower.Crashed };
            row.Put(new PendingFailover(report.Failover?.Kind ?? FailoverKind.Unplanned, report.Failover?.StartedAt ?? now, ran));
        }
        else if (found is ProtectionStage.Replicating or ProtectionStage.FailedOver)
        {
            row.Put(null);
        }

        row.Stage = found.ToString();
        return found;
    }

    public static Policy ToModel(this PolicyRow row) => PolicyText.Apply(
        new Policy { Name = row.Name }, VaultJson.Read(row.PolicyJson, VaultJson.Default.PolicySetDto) ?? new PolicySetDto());

    public static async Task<Policy> PolicyOfAsync(this VaultDb db, string policy, CancellationToken cancellationToken) =>
        (await PolicyStore.FindAsync(db, policy, cancellationToken)).ToModel();

    /// <param name="kept">Old disks that are listed although the VM is not protected (any more).</param>
    public static VmSituation Situation(ProtectedVm? vm, VmReports reports, string name, string? target, int kept) => vm is null
        ? new VmSituation { Vm = name, State = ProtectionState.Unprotected, SourceBranches = kept }
        : new VmSituation
        {
            Vm = name,
            State = Standing.Of(vm.Stage, reports.Source, reports.Target, vm.Tests.Count),
            Target = target,
            HasPoints = vm.Stage != ProtectionStage.FailedOver && reports.HasPoints,
            Tests = vm.Tests.Select(test => test.Id).Union(reports.Target?.Tests ?? []).Count(), // also those made at the host
            TargetBranches = reports.Target?.Branches?.Count ?? 0,
            SourceBranches = (reports.Source?.Branches?.Count ?? 0) + kept,
            Mounts = reports.Target?.Mounts?.Count(mount => mount.ToVm is null) ?? 0,
            Attached = reports.Target?.Mounts?.Count(mount => mount.ToVm is not null) ?? 0,
            PausedBy = reports.Source?.PausedBy,
            Fenced = HealthRules.IsFencedOwner(reports.Source),
            OwnedAtTarget = reports.Target?.Ownership?.State == OwnershipState.Here,
            OwnedAtSource = Standing.IsOwnedAtSource(reports.Source, reports.Target),
            Overtaken = Standing.IsOvertaken(reports.Source, reports.Target),
            StartsAtTarget = reports.Target?.Phase == TargetPhase.FailingOver,
            MergeWaits = reports.Target switch
            {
                { Waiting: { } waiting } => waiting,
                { Phase: TargetPhase.Committing } => "its disks are being merged",
                _ => null,
            },
        };

    private static TestInfo ToModel(TestRow row) => new(
        new TestId(row.Id),
        row.VmName,
        RecoveryPointId.TryParse(row.Point, out RecoveryPointId point) ? point : default,
        new JobId(row.JobId),
        row.StartedAt,
        row.Label);
}
