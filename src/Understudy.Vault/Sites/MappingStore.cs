using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>Networks as hosts report them, and where each goes at another site (CFG-6).</summary>
internal sealed class MappingStore(VaultStorage storage, HostAsker asker)
{
    public async Task<IReadOnlyList<NetworkDto>> ListNetworksAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Dictionary<Guid, string> sites = await SiteNamesAsync(db, cancellationToken);
        List<MappingRow> mappings = await db.Mappings.AsNoTracking().ToListAsync(cancellationToken);
        List<HostRow> hosts = await db.Hosts.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        return [.. hosts.SelectMany(host => (HostStore.FactsOf(host)?.Networks ?? []).Select(network => new NetworkDto(
            network.Name,
            sites[host.SiteId],
            host.Name,
            network.Active,
            network.Isolated,
            [.. mappings.Where(row => row.SourceSite == host.SiteId && row.SourceNetwork == network.Name)
                .Select(row => $"{row.TargetNetwork} at {sites[row.TargetSite]}")])))];
    }

    public async Task<IReadOnlyList<MappingDto>> ListAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Dictionary<Guid, string> sites = await SiteNamesAsync(db, cancellationToken);
        List<MappingRow> rows = await db.Mappings.AsNoTracking().OrderBy(row => row.SourceNetwork).ToListAsync(cancellationToken);
        return [.. rows.Select(row => ToDto(row, sites))];
    }

    public async Task<MappingDto> MapAsync(MapNetworkDto request, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        List<HostRow> hosts = await asker.LookAsync(await db.Hosts.AsNoTracking().ToListAsync(cancellationToken), cancellationToken); // as pools are
        (SiteRow source, SiteRow target) = await SitePair.FindAsync(
            db, request.SourceSite, request.TargetSite, hosts, host => Has(host, request.SourceNetwork), Errors.UnknownNetwork("no host", request.SourceNetwork), cancellationToken);
        RequireNetwork(hosts, source, request.SourceNetwork);
        RequireNetwork(hosts, target, request.TargetNetwork);
        if (request.TestNetwork is { } test)
        {
            RequireNetwork(hosts, target, test);
        }

        MappingRow? row = await db.Mappings.FindAsync([source.Id, request.SourceNetwork, target.Id], cancellationToken);
        if (row is null)
        {
            row = new MappingRow { SourceSite = source.Id, SourceNetwork = request.SourceNetwork, TargetSite = target.Id, TargetNetwork = request.TargetNetwork };
            db.Mappings.Add(row);
        }

        row.TargetNetwork = request.TargetNetwork;
        row.TestNetwork = request.TestNetwork;
        row.Automatic = false;
        await db.SaveChangesAsync(cancellationToken);
        return ToDto(row, await SiteNamesAsync(db, cancellationToken));
    }

    public async Task UnmapAsync(string sourceSite, string sourceNetwork, string targetSite, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        SiteRow source = await SiteStore.FindAsync(db, sourceSite, cancellationToken);
        SiteRow target = await SiteStore.FindAsync(db, targetSite, cancellationToken);
        if (await db.Mappings.Where(row => row.SourceSite == source.Id && row.SourceNetwork == sourceNetwork && row.TargetSite == target.Id)
            .ExecuteDeleteAsync(cancellationToken) == 0)
        {
            throw new ErrorException(Errors.UnknownMapping(sourceNetwork));
        }
    }

    /// <summary>Fills in what can only mean one thing: each of two sites has exactly one network that leads anywhere, or one in all.</summary>
    public async Task FillInAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken); // after a start of the vault all hosts say hello at once
        List<SiteRow> sites = await db.Sites.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        List<HostRow> hosts = await db.Hosts.AsNoTracking().ToListAsync(cancellationToken);
        List<NetworkMapping> existing = [.. (await db.Mappings.AsNoTracking().ToListAsync(cancellationToken)).Select(ToModel)];
        for (int a = 0; a < sites.Count; a++)
        {
            for (int b = a + 1; b < sites.Count; b++)
            {
                foreach (NetworkMapping fresh in NicPlanner.Automatic(
                    new SiteId(sites[a].Id), NetworksOf(hosts, sites[a]), new SiteId(sites[b].Id), NetworksOf(hosts, sites[b]), existing))
                {
                    db.Mappings.Add(new MappingRow
                    {
                        SourceSite = fresh.SourceSite.Value,
                        SourceNetwork = fresh.SourceNetwork,
                        TargetSite = fresh.TargetSite.Value,
                        TargetNetwork = fresh.TargetNetwork,
                        Automatic = true,
                    });
                }
            }
        }

        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    public static async Task<IReadOnlyList<NetworkMapping>> BetweenAsync(VaultDb db, Guid sourceSite, Guid targetSite, CancellationToken cancellationToken) =>
        [.. (await db.Mappings.AsNoTracking().Where(row => row.SourceSite == sourceSite && row.TargetSite == targetSite).ToListAsync(cancellationToken)).Select(ToModel)];

    private static NetworkMapping ToModel(MappingRow row) => new(
        new SiteId(row.SourceSite), row.SourceNetwork, new SiteId(row.TargetSite), row.TargetNetwork, row.TestNetwork, row.Automatic);

    private static MappingDto ToDto(MappingRow row, Dictionary<Guid, string> sites) =>
        new(sites[row.SourceSite], row.SourceNetwork, sites[row.TargetSite], row.TargetNetwork, row.TestNetwork, row.Automatic);

    private static Task<Dictionary<Guid, string>> SiteNamesAsync(VaultDb db, CancellationToken cancellationToken) =>
        db.Sites.ToDictionaryAsync(row => row.Id, row => row.Name, cancellationToken);

    /// <summary>Those that lead anywhere; where none does, all.</summary>
    private static string[] NetworksOf(List<HostRow> hosts, SiteRow site)
    {
        HostNetwork[] all = [.. hosts.Where(host => host.SiteId == site.Id).SelectMany(host => HostStore.FactsOf(host)?.Networks ?? [])];
        return [.. all.Where(network => !network.Isolated || all.All(other => other.Isolated)).Select(network => network.Name).Distinct().Order(StringComparer.Ordinal)];
    }

    private static bool Has(HostRow host, string network) => HostStore.FactsOf(host)?.Networks.Any(known => known.Name == network) == true;

    private static void RequireNetwork(List<HostRow> hosts, SiteRow site, string network)
    {
        if (!hosts.Any(host => host.SiteId == site.Id && Has(host, network)))
        {
            throw new ErrorException(Errors.UnknownNetwork($"site {site.Name}", network));
        }
    }
}
