using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>VMs as people see them: discovered facts, and where their protection stands (MON-1).</summary>
internal sealed class VmView(VaultStorage storage, AgentRegistry agents, ReportBoard board, BranchFinder branches, TimeProvider time)
{
    public static readonly TimeSpan RpoSummary = TimeSpan.FromHours(24);

    /// <param name="selection">Null for all.</param>
    public async Task<IReadOnlyList<VmDto>> ListAsync(Selection? selection, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Sight sight = await LookAsync(db, null, cancellationToken);
        List<VmRow> rows = await db.Vms.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        List<VmDto> vms = [];
        foreach (IGrouping<Guid, VmRow> group in rows.GroupBy(row => row.VmId))
        {
            string name = sight.Protections.GetValueOrDefault(group.Key)?.Name ?? group.First().Name;
            if (selection?.Means(name, [.. group.SelectMany(row => Facts(row).Tags ?? [])]) != false)
            {
                vms.Add(await ToDtoAsync(db, [.. group], sight, cancellationToken));
            }
        }

        return [.. vms.OrderBy(vm => vm.Name, StringComparer.Ordinal)];
    }

    public async Task<VmDto> GetAsync(string nameOrId, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        (VmId id, string name) = await db.FindVmAsync(nameOrId, cancellationToken);
        Sight sight = await LookAsync(db, id, cancellationToken);
        List<VmRow> rows = await db.Vms.AsNoTracking().Where(row => row.VmId == id.Value).ToListAsync(cancellationToken);
        return rows.Count > 0 ? await ToDtoAsync(db, rows, sight, cancellationToken) : throw new ErrorException(Errors.UnknownVm(name));
    }

    public static PointDto ToDto(RecoveryPointInfo point, IReadOnlyList<string>? marks = null) => new(
        point.Id.ToString(), point.CutAt, point.Kind, point.Label, marks ?? (point.Kind == PointKind.CrashConsistent ? [] : [point.Kind.Word()]));

    public static double Age(RecoveryPointInfo point, DateTimeOffset now) => Math.Max(0, (now - point.CutAt).TotalSeconds);

    private async Task<VmDto> ToDtoAsync(VaultDb db, List<VmRow> rows, Sight sight, CancellationToken cancellationToken)
    {
        ProtectedVm? vm = sight.Protections.GetValueOrDefault(rows[0].VmId);
        VmRow row = Active(rows, vm);
        DiscoveredVm facts = Facts(row);
        ProtectionDto? protection = vm is null ? null : ProtectionView.ToDto(vm, board.Get(vm.Vm), sight);
        HostRow host = sight.Hosts[row.HostId];
        bool mayHaveBranches = vm is not null || sight.Retired.Contains(row.VmId);
        IReadOnlyList<KeptBranch> kept = mayHaveBranches ? await branches.ListAsync(db, facts.Id, cancellationToken) : [];
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
            [.. kept.Select(branch => BranchNames.ToDto(branch.Branch, branch.HostName))],
            protection,
            facts.Tags ?? [],
            facts.OnlyWhileProtected);
    }

    /// <summary>The row of the side where the VM is to run now; of one that is not protected (any more), where it does run.</summary>
    private static VmRow Active(List<VmRow> rows, ProtectedVm? vm)
    {
        if (vm is null)
        {
            return rows.FirstOrDefault(row => Facts(row).Power != VmPower.Off) ?? rows[0];
        }

        Guid side = ProtectionView.IsAtTarget(vm.Stage) ? vm.TargetHost.Value : vm.SourceHost.Value;
        return rows.FirstOrDefault(row => row.HostId == side) ?? rows[0];
    }

    private static DiscoveredVm Facts(VmRow row) => VaultJson.Read(row.VmJson, VaultJson.Default.DiscoveredVm)!; // the column is never null

    /// <summary>Jobs that have a VM, and first copies, which have none but are what the VM waits for.</summary>
    private static async Task<Dictionary<Guid, long>> WorkingAsync(VaultDb db, CancellationToken cancellationToken)
    {
        string protect = JobAction.Protect.Word();
        Dictionary<Guid, long> jobs = (await db.Jobs.AsNoTracking().Where(row => row.EndedAt == null && row.Action == protect)
            .Select(row => new { row.VmId, row.Id }).ToListAsync(cancellationToken)).ToDictionary(row => row.VmId, row => row.Id);
        foreach (LeaseRow lease in await db.Leases.AsNoTracking().ToListAsync(cancellationToken))
        {
            jobs[lease.VmId] = lease.JobId;
        }

        return jobs;
    }

    /// <param name="one">The VM whose history is wanted; a list goes without.</param>
    private async Task<Sight> LookAsync(VaultDb db, VmId? one, CancellationToken cancellationToken)
    {
        ILookup<Guid, TestRow> tests = (await db.Tests.AsNoTracking().OrderBy(row => row.StartedAt).ToListAsync(cancellationToken)).ToLookup(row => row.VmId);
        DateTimeOffset now = time.GetUtcNow();
        DateTimeOffset after = now - RpoSummary;
        return new Sight(
            now,
            agents,
            await db.Hosts.AsNoTracking().ToDictionaryAsync(row => row.Id, cancellationToken),
            await db.Sites.AsNoTracking().ToDictionaryAsync(row => row.Id, row => row.Name, cancellationToken),
            (await db.Protections.AsNoTracking().ToListAsync(cancellationToken)).ToDictionary(row => row.VmId, row => ProtectionRows.ToModel(row, tests[row.VmId])),
            await db.Policies.AsNoTracking().ToDictionaryAsync(row => row.Name, row => row.ToModel(), cancellationToken),
            await WorkingAsync(db, cancellationToken),
            await db.Retired.AsNoTracking().Select(row => row.VmId).ToHashSetAsync(cancellationToken),
            one is { } vm ? await db.Rpo.AsNoTracking().Where(row => row.VmId == vm.Value && row.At > after).Select(row => row.WorstSeconds).ToListAsync(cancellationToken) : []);
    }
}

/// <summary>What the database held at one moment, for all VMs of one answer.</summary>
/// <param name="Rpo">The last day's worst ages of the one VM that is shown.</param>
internal sealed record Sight(
    DateTimeOffset Now,
    AgentRegistry Agents,
    Dictionary<Guid, HostRow> Hosts,
    Dictionary<Guid, string> Sites,
    Dictionary<Guid, ProtectedVm> Protections,
    Dictionary<string, Policy> Policies,
    Dictionary<Guid, long> Jobs,
    HashSet<Guid> Retired,
    IReadOnlyList<double> Rpo);
