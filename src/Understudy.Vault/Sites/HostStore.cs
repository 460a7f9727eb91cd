using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>Hosts as people see them: what is stored, and whether their agent is connected now.</summary>
internal sealed class HostStore(VaultStorage storage, AgentRegistry agents, FitAsker fit, EventJournal events)
{
    private const int LongestReason = 500;
    private const int MostNames = 5;

    public async Task<IReadOnlyList<HostDto>> ListAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        List<HostRow> hosts = await db.Hosts.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        Dictionary<Guid, string> sites = await db.Sites.ToDictionaryAsync(row => row.Id, row => row.Name, cancellationToken);
        Dictionary<Guid, int> vms = await db.Vms.GroupBy(row => row.HostId)
            .Select(group => new { group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellationToken);
        return [.. hosts.Select(host => ToDto(host, sites[host.SiteId], vms.GetValueOrDefault(host.Id)))];
    }

    public async Task<HostDto> GetAsync(string nameOrId, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        HostRow host = await FindAsync(db, nameOrId, cancellationToken);
        SiteRow site = await db.Sites.SingleAsync(row => row.Id == host.SiteId, cancellationToken);
        return ToDto(host, site.Name, await db.Vms.CountAsync(row => row.HostId == host.Id, cancellationToken));
    }

    public async Task<HostCheckDto> CheckAsync(string nameOrId, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        HostRow host = await FindAsync(db, nameOrId, cancellationToken);
        List<Finding> findings = [.. await CheckAsync(host, cancellationToken), .. await CheckVmsAsync(db, host, cancellationToken)];
        return new HostCheckDto(host.Name, Finding.Worst(findings), [.. findings.Select(finding => finding.Check)]);
    }

    /// <summary>Asks the agent for fresh facts; old ones are used when it cannot answer.</summary>
    public async Task<IReadOnlyList<Finding>> CheckAsync(HostRow host, CancellationToken cancellationToken)
    {
        AgentSession? session = agents.Find(new HostId(host.Id));
        HostFacts? facts = session is null ? null : await session.TryGetFactsAsync(cancellationToken);
        return HostChecks.Evaluate(host.Name, session is not null, facts ?? FactsOf(host), session?.ClockDifference);
    }

    /// <summary>Would the VMs whose replicas it keeps start here?</summary>
    private async Task<IReadOnlyList<Finding>> CheckVmsAsync(VaultDb db, HostRow target, CancellationToken cancellationToken)
    {
        if (agents.Find(new HostId(target.Id)) is null)
        {
            return [];
        }

        var vms = await db.Protections.AsNoTracking().Where(row => row.TargetHost == target.Id).OrderBy(row => row.Name)
            .Select(row => new
            {
                row.Name,
                row.SourceHost,
                VmJson = db.Vms.Where(vm => vm.VmId == row.VmId && vm.HostId == row.SourceHost).Select(vm => vm.VmJson).FirstOrDefault(),
            })
            .ToListAsync(cancellationToken);
        List<Finding> findings = [];
        foreach (var vm in vms)
        {
            if (VaultJson.Read(vm.VmJson, VaultJson.Default.DiscoveredVm) is { } discovered)
            {
                HostRow? source = await db.Hosts.AsNoTracking().SingleOrDefaultAsync(row => row.Id == vm.SourceHost, cancellationToken);
                IReadOnlyList<Finding> answers = await fit.CheckAsync(discovered, source, target, cancellationToken);
                Finding[] poor = [.. answers.Where(finding => finding.Check.Level != CheckLevel.Pass)];
                findings.AddRange(poor.Select(finding => finding with { Check = finding.Check with { Name = $"{vm.Name}: {finding.Check.Name}" } }));
                if (poor.Length == 0 && answers.Count > 0)
                {
                    findings.Add(Finding.Pass(vm.Name, "Its machine, processor and firmware are here."));
                }
            }
        }

        return findings;
    }

    /// <param name="reason">Kept in the event: somebody will ask one day.</param>
    public async Task RemoveAsync(string nameOrId, string? reason, string user, CancellationToken cancellationToken)
    {
        string why = reason?.Trim() is { Length: > 0 } said ? said : throw new ErrorException(Errors.MissingValue("the reason") with { Next = "Give `--reason TEXT`." });
        if (why.Length > LongestReason)
        {
            throw new ErrorException(Errors.BadValue("reason", why[..32] + "…", $"it has at most {LongestReason} characters"));
        }

        await using VaultDb db = storage.Open();
        HostRow host = await FindAsync(db, nameOrId, cancellationToken);
        string[] vms = await db.Protections.Where(row => row.SourceHost == host.Id || row.TargetHost == host.Id).OrderBy(row => row.Name)
            .Select(row => row.Name).ToArrayAsync(cancellationToken);
        if (vms.Length > 0)
        {
            throw new ErrorException(Errors.InUse("host", host.Name, $"the protection of {Names(vms)}"));
        }

        string left = await OldDisksAsync(db, host, cancellationToken) + await UntoldAsync(db, host, cancellationToken) + await ReplicasAsync(db, host, cancellationToken);
        db.Retired.RemoveRange(db.Retired.Where(row => row.SourceHost == host.Id));
        db.Vms.RemoveRange(db.Vms.Where(row => row.HostId == host.Id));
        db.Cleanups.RemoveRange(db.Cleanups.Where(row => row.HostId == host.Id));
        db.VaultCopies.RemoveRange(db.VaultCopies.Where(row => row.HostId == host.Id));
        db.Hosts.Remove(host);
        await db.SaveChangesAsync(cancellationToken);
        agents.Forget(new HostId(host.Id));
        await events.AddAsync(HealthLevel.Normal, "host-removed", null, host.Id, $"{host.Name} was removed by {user}: {why.TrimEnd('.')}. Its certificate is no longer accepted.{left}", CancellationToken.None);
    }

    /// <summary>Nobody reads a hundred names; how many there are says the rest.</summary>
    private static string Names(string[] names) =>
        string.Join(", ", names.Take(MostNames)) + (names.Length > MostNames ? $" and {names.Length - MostNames} more" : "");

    /// <summary>Old disks that the host keeps, blocked, must not get off every list. A host that is gone cannot delete them: then
    /// they are named once more.</summary>
    /// <exception cref="ErrorException">The host is there, and can delete them.</exception>
    private async Task<string> OldDisksAsync(VaultDb db, HostRow host, CancellationToken cancellationToken)
    {
        RetiredRow[] old = await db.Retired.Where(row => row.SourceHost == host.Id).OrderBy(row => row.VmName).ToArrayAsync(cancellationToken);
        if (old is [var first, ..] && agents.Find(new HostId(host.Id)) is not null)
        {
            throw new ErrorException(Errors.InUse("host", host.Name, $"the old disks of {first.VmName}, which it keeps blocked as a branch ({Typed.Command("point list", first.VmName)})"));
        }

        return old.Length == 0 ? "" : $" It keeps old disks of {string.Join(", ", old.Select(row => row.VmName))}; `understudy agent leave` on it lets go of them.";
    }

    /// <summary>What a host that was cut off would go on running, should it ever start again.</summary>
    private static async Task<string> UntoldAsync(VaultDb db, HostRow host, CancellationToken cancellationToken)
    {
        string[] names = await db.Cleanups.Where(row => row.HostId == host.Id && row.Side == HostDuties.Source && row.KeepGuard)
            .OrderBy(row => row.VmName).Select(row => row.VmName).Distinct().ToArrayAsync(cancellationToken);
        return names.Length == 0
            ? ""
            : $" It has not heard that {string.Join(", ", names)} came to stay at the other side: should it start again, it may run a second copy until its agent reaches that side. Wipe it, or do not start it.";
    }

    /// <summary>What it was to remove and did not, since it was away: after this nobody else knows of it.</summary>
    private static async Task<string> ReplicasAsync(VaultDb db, HostRow host, CancellationToken cancellationToken)
    {
        string[] names = await db.Cleanups.Where(row => row.HostId == host.Id && row.Side == HostDuties.Target)
            .OrderBy(row => row.VmName).Select(row => row.VmName).Distinct().ToArrayAsync(cancellationToken);
        return names.Length == 0 ? "" : $" It may still keep the replica of {string.Join(", ", names)}, with all points; `understudy agent leave` on it names what is there.";
    }

    public static async Task<HostRow> FindAsync(VaultDb db, string nameOrId, CancellationToken cancellationToken)
    {
        Guid id = Guid.TryParse(nameOrId, out Guid parsed) ? parsed : Guid.Empty;
        return await db.Hosts.AsTracking().FirstOrDefaultAsync(row => row.Name == nameOrId || row.Id == id, cancellationToken)
            ?? throw new ErrorException(Errors.UnknownHost(nameOrId));
    }

    public static HostFacts? FactsOf(HostRow host) => VaultJson.Read(host.FactsJson, VaultJson.Default.HostFacts);

    private HostDto ToDto(HostRow host, string site, int vmCount)
    {
        AgentSession? session = agents.Find(new HostId(host.Id));
        HostFacts? facts = FactsOf(host);
        return new HostDto(
            host.Id,
            host.Name,
            site,
            session is not null,
            host.JoinedAt,
            host.LastSeenAt,
            session?.ClockDifference?.TotalSeconds,
            host.ReplicationEndpoint,
            facts?.AgentVersion,
            facts?.HypervisorVersion,
            facts?.EmulatorVersion,
            facts?.HardwareAcceleration,
            facts?.Cpus,
            facts?.MemoryBytes,
            facts?.FreeMemoryBytes,
            vmCount,
            facts?.Networks ?? [],
            facts?.Replicas,
            facts?.Spool,
            HostMaintenance.NoteOf(host) is { } note ? new MaintenanceDto(note.Since, note.Until, note.Reason, note.By) : null,
            facts?.Visible,
            facts?.Proxy,
            facts?.Pools);
    }
}
