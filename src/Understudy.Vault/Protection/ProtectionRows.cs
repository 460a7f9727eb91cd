using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
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

    public static ProtectedVm ToModel(ProtectionRow row, IEnumerable<TestRow> tests) => new(
        new VmId(row.VmId),
        row.Name,
        new HostId(row.SourceHost),
        new HostId(row.TargetHost),
        new ReplicaId(row.Replica),
        LineId.TryParse(row.Line, out LineId line) ? line : null,
        row.Policy,
        row.TargetName,
        VaultJson.Read(row.NicsJson, VaultJson.Default.IReadOnlyListNicPlan) ?? [],
        Enum.Parse<ProtectionStage>(row.Stage),
        [.. tests.Select(ToModel)]);

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
        Stage = vm.Stage.ToString(),
    };

    public static async Task SetStageAsync(this VaultDb db, VmId vm, ProtectionStage stage, CancellationToken cancellationToken)
    {
        string text = stage.ToString();
        await db.Protections.Where(row => row.VmId == vm.Value)
            .ExecuteUpdateAsync(row => row.SetProperty(r => r.Stage, text), cancellationToken);
    }

    public static Policy ToModel(this PolicyRow row) => new()
    {
        Name = row.Name,
        Mode = EnumWords<ReplicationMode>.TryParse(row.Mode, out ReplicationMode mode) ? mode : ReplicationMode.Periodic,
        Frequency = TimeSpan.FromSeconds(row.FrequencySeconds),
        Retention = TimeSpan.FromSeconds(row.RetentionSeconds),
        Compression = row.Compression,
        UseNetworkMap = row.UseNetworkMap,
        Commit = EnumWords<CommitRule>.TryParse(row.CommitRule, out CommitRule commit) ? commit : CommitRule.ByHand,
    };

    public static VmSituation Situation(ProtectedVm? vm, VmReports reports, string name, string? target) => vm is null
        ? new VmSituation(name, ProtectionState.Unprotected, null, false, 0)
        : new VmSituation(name, Standing.Of(vm.Stage, reports.Source, reports.Target, vm.Tests.Count), target, reports.HasPoints, vm.Tests.Count);

    private static TestInfo ToModel(TestRow row) => new(
        new TestId(row.Id),
        row.VmName,
        RecoveryPointId.TryParse(row.Point, out RecoveryPointId point) ? point : default,
        new JobId(row.JobId),
        row.StartedAt);
}
