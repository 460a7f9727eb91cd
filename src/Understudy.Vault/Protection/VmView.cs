using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>VMs as people see them: discovered facts, and where their protection stands (MON-1).</summary>
internal sealed class VmView(VaultStorage storage, AgentRegistry agents, ReportBoard board, TimeProvider time)
{
    public async Task<IReadOnlyList<VmDto>> ListAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Sight sight = await LookAsync(db, cancellationToken);
        List<VmRow> rows = await db.Vms.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        return [.. rows.GroupBy(row => row.VmId).Select(group => ToDto([.. group], sight)).OrderBy(vm => vm.Name, StringComparer.Ordinal)];
    }

    public async Task<VmDto> GetAsync(string nameOrId, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        (VmId id, string name) = await db.FindVmAsync(nameOrId, cancellationToken);
        Sight sight = await LookAsync(db, cancellationToken);
        List<VmRow> rows = await db.Vms.AsNoTracking().Where(row => row.VmId == id.Value).ToListAsync(cancellationToken);
        return rows.Count > 0 ? ToDto(rows, sight) : throw new ErrorException(Errors.UnknownVm(name));
    }

    public static PointDto ToDto(RecoveryPointInfo point) => new(point.Id.ToString(), point.CutAt, point.Kind, point.Label);

    public static double Age(RecoveryPointInfo point, DateTimeOffset now) => Math.Max(0, (now - point.CutAt).TotalSeconds);

    private VmDto ToDto(List<VmRow> rows, Sight sight)
    {
        ProtectedVm? vm = sight.Protections.GetValueOrDefault(rows[0].VmId);
        VmRow row = Active(rows, vm);
        DiscoveredVm facts = Facts(row);
        ProtectionDto? protection = vm is null ? null : Protect(vm, sight);
        HostRow host = sight.Hosts[row.HostId];
        return new VmDto(
            facts.Id.Value,
            vm?.Name ?? facts.Name,
            host.Name,
            sight.Sites[host.SiteId],
            facts.Power,
            protection?.State ?? ProtectionState.Unprotected,
            facts.Cpus,
            facts.MemoryBytes,
            facts.Firmware,
            facts.MachineType,
            facts.HasGuestAgentChannel,
            facts.HasSnapshots,
            facts.Disks,
            facts.Nics,
            protection);
    }

    /// <summary>The row of the side where the VM is to run now; of one that is not protected (any more), where it does run.</summary>
    private static VmRow Active(List<VmRow> rows, ProtectedVm? vm)
    {
        if (vm is null)
        {
            return rows.FirstOrDefault(row => Facts(row).Power != VmPower.Off) ?? rows[0];
        }

        Guid side = AtTarget(vm.Stage) ? vm.TargetHost.Value : vm.SourceHost.Value;
        return rows.FirstOrDefault(row => row.HostId == side) ?? rows[0];
    }

    private static DiscoveredVm Facts(VmRow row) => VaultJson.Read(row.VmJson, VaultJson.Default.DiscoveredVm)!; // the column is never null

    private static bool AtTarget(ProtectionStage stage) => stage is ProtectionStage.CommitPending or ProtectionStage.FailedOver;

    private ProtectionDto Protect(ProtectedVm vm, Sight sight)
    {
        VmReports reports = board.Get(vm.Vm);
        ProtectionState state = Standing.Of(vm.Stage, reports.Source, reports.Target, vm.Tests.Count);
        HostRow source = sight.Hosts[vm.SourceHost.Value];
        HostRow target = sight.Hosts[vm.TargetHost.Value];
        string sourceSite = sight.Sites[source.SiteId];
        string targetSite = sight.Sites[target.SiteId];
        DateTimeOffset now = time.GetUtcNow();
        Health health = HealthRules.Judge(new HealthInputs(
            now,
            state,
            sight.Frequencies.GetValueOrDefault(vm.Policy, TimeSpan.FromMinutes(5)),
            reports.Newest?.CutAt,
            reports.Watch?.LateSince,
            source.Name,
            agents.Find(vm.SourceHost) is not null,
            target.Name,
            agents.Find(vm.TargetHost) is not null,
            reports.Source,
            reports.Target,
            vm.Tests.Count == 0 ? null : vm.Tests.Min(test => test.StartedAt)));
        return new ProtectionDto(
            state,
            new HealthDto(health.Level, health.Reasons),
            $"{sourceSite} -> {targetSite}",
            AtTarget(vm.Stage) ? targetSite : sourceSite,
            source.Name,
            target.Name,
            vm.TargetName,
            vm.Policy,
            AtTarget(vm.Stage) || reports.Newest is null ? null : Age(reports.Newest, now),
            reports.Newest is { } newest ? ToDto(newest) : null,
            reports.Target?.Oldest is { } oldest ? ToDto(oldest) : null,
            reports.Target?.PointCount ?? 0,
            reports.Target is { Oldest: { } first, Newest: { } last } ? (last.CutAt - first.CutAt).TotalSeconds : 0,
            reports.Target?.JournalBytes ?? 0,
            AtTarget(vm.Stage) ? null : reports.Source?.NextCutAt,
            Copy(state, reports.Source),
            reports.Source?.BytesBehind ?? 0,
            Seconds(reports.Source?.BytesBehind, reports.Source?.BytesPerSecond),
            Cycles(reports.Source),
            vm.Nics,
            [.. vm.Tests.Select(test => new TestDto(test.VmName, test.Point.ToString(), test.Job.Value, test.StartedAt))],
            sight.Leases.TryGetValue(vm.Vm.Value, out long job) ? job : null,
            ErrorDto.From(reports.Source?.Error ?? reports.Target?.Error));
    }

    private static CopyProgressDto? Copy(ProtectionState state, SourceReport? source) =>
        source is null || state is not (ProtectionState.FirstCopy or ProtectionState.Resynchronising)
            ? null
            : new CopyProgressDto(source.BytesDone, source.BytesTotal, source.BytesPerSecond, Seconds(source.BytesTotal - source.BytesDone, source.BytesPerSecond));

    private static CyclesDto Cycles(SourceReport? source) => source is null
        ? new CyclesDto(0, 0, 0, 0, 0, null)
        : new CyclesDto(source.CyclesMade, source.CyclesMissed, source.CyclesFailed, source.AverageCycleBytes, source.LargestCycleBytes, source.LastCycleDuration?.TotalSeconds);

    private static double? Seconds(long? bytes, long? bytesPerSecond) =>
        bytes is > 0 && bytesPerSecond is > 0 ? (double)bytes / bytesPerSecond : null;

    private static async Task<Sight> LookAsync(VaultDb db, CancellationToken cancellationToken)
    {
        ILookup<Guid, TestRow> tests = (await db.Tests.AsNoTracking().OrderBy(row => row.StartedAt).ToListAsync(cancellationToken)).ToLookup(row => row.VmId);
        return new Sight(
            await db.Hosts.AsNoTracking().ToDictionaryAsync(row => row.Id, cancellationToken),
            await db.Sites.AsNoTracking().ToDictionaryAsync(row => row.Id, row => row.Name, cancellationToken),
            (await db.Protections.AsNoTracking().ToListAsync(cancellationToken)).ToDictionary(row => row.VmId, row => ProtectionRows.ToModel(row, tests[row.VmId])),
            await db.Policies.AsNoTracking().ToDictionaryAsync(row => row.Name, row => TimeSpan.FromSeconds(row.FrequencySeconds), cancellationToken),
            await db.Leases.AsNoTracking().ToDictionaryAsync(row => row.VmId, row => row.JobId, cancellationToken));
    }

    private sealed record Sight(
        Dictionary<Guid, HostRow> Hosts,
        Dictionary<Guid, string> Sites,
        Dictionary<Guid, ProtectedVm> Protections,
        Dictionary<string, TimeSpan> Frequencies,
        Dictionary<Guid, long> Leases);
}
