using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>All that counts for who dials whom, as it is known now.</summary>
internal sealed record LinkScene(IReadOnlyList<LinkedHost> Hosts, IReadOnlyList<LinkedVm> Vms, IReadOnlyList<SiteLink> Links);

/// <summary>Which site of two listens (REG-3), read.</summary>
internal sealed class SiteLinks(VaultStorage storage, AgentRegistry agents, ReportBoard board)
{
    public async Task<bool> TargetDialsAsync(HostRow source, HostRow target, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return LinkRules.TargetDials(new SiteId(source.SiteId), new SiteId(target.SiteId), await ReadAsync(db, cancellationToken));
    }

    public async Task<LinkScene> LoadAsync(VaultDb db, CancellationToken cancellationToken)
    {
        Dictionary<Guid, LinkedHost> hosts = (await db.Hosts.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken))
            .ToDictionary(row => row.Id, Of);
        List<LinkedVm> vms = [];
        var rows = await db.Protections.AsNoTracking().OrderBy(row => row.Name)
            .Select(row => new { row.VmId, row.Replica, row.Name, row.SourceHost, row.TargetHost }).ToListAsync(cancellationToken);
        foreach (var row in rows)
        {
            VmReports reports = board.Get(new VmId(row.VmId));
            vms.Add(new LinkedVm(
                new VmId(row.VmId), new ReplicaId(row.Replica), row.Name, hosts[row.SourceHost], hosts[row.TargetHost], reports.Source?.Link, reports.Target?.Link));
        }

        return new LinkScene([.. hosts.Values], vms, await ReadAsync(db, cancellationToken));
    }

    public IReadOnlyList<SiteLinkDto> Describe(LinkScene scene, SiteRow site, IEnumerable<SiteRow> sites)
    {
        HashSet<HostId> away = [.. scene.Hosts.Where(host => agents.Find(host.Id) is null).Select(host => host.Id)];
        SiteId self = new(site.Id);
        return
        [
            .. sites.Where(other => other.Id != site.Id).Select(other =>
            {
                SiteId there = new(other.Id);
                SiteLink? link = scene.Links.FirstOrDefault(candidate => candidate.Joins(self, there));
                string? listens = link is null ? null : link.Listens == self ? site.Name : other.Name;
                return new SiteLinkDto(other.Name, listens, LinkPlan.Outstanding(self, there, scene.Hosts, scene.Vms, scene.Links, away));
            }),
        ];
    }

    /// <summary>Inside one site it is always the target that listens, so there such a site has to.</summary>
    /// <exception cref="ErrorException">It does not.</exception>
    public static async Task RequireListenerAsync(VaultDb db, string vm, HostRow source, HostRow target, CancellationToken cancellationToken)
    {
        if (source.SiteId != target.SiteId)
        {
            return;
        }

        List<HostRow> hosts = await db.Hosts.AsNoTracking().ToListAsync(cancellationToken);
        if (!LinkRules.Listens(new SiteId(source.SiteId), hosts.Select(Of), await ReadAsync(db, cancellationToken)))
        {
            string site = await db.Sites.Where(row => row.Id == source.SiteId).Select(row => row.Name).SingleAsync(cancellationToken);
            throw new ErrorException(Errors.SiteListensNowhere(site, vm));
        }
    }

    public static async Task<IReadOnlyList<SiteLink>> ReadAsync(VaultDb db, CancellationToken cancellationToken) =>
        [.. (await db.SiteLinks.AsNoTracking().ToListAsync(cancellationToken)).Select(row => new SiteLink(new SiteId(row.One), new SiteId(row.Other), new SiteId(row.Listens)))];

    public static LinkedHost Of(HostRow row) =>
        new(new HostId(row.Id), row.Name, new SiteId(row.SiteId), row.ReplicationEndpoint, HostStore.FactsOf(row)?.Listens ?? true);
}
