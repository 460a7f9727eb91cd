using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>Storage pools as hosts report them, and where each one's VMs go at another site (CFG-6).</summary>
internal sealed class StorageMapStore(VaultStorage storage, HostAsker asker)
{
    public async Task<IReadOnlyList<PoolDto>> ListPoolsAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Dictionary<Guid, string> sites = await SiteNamesAsync(db, cancellationToken);
        List<StorageMappingRow> mappings = await db.StorageMappings.AsNoTracking().ToListAsync(cancellationToken);
        List<HostRow> hosts = await db.Hosts.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        return [.. hosts.SelectMany(host => PoolsOf(host).Select(pool => new PoolDto(
            pool.Name, sites[host.SiteId], host.Name, pool.Type, pool.Path, pool.Active, pool.FreeBytes, pool.TotalBytes,
            [.. mappings.Where(row => row.SourceSite == host.SiteId && row.SourcePool == pool.Name).Select(row => $"{row.TargetPool} at {sites[row.TargetSite]}")])))];
    }

    public async Task<IReadOnlyList<StorageMappingDto>> ListAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Dictionary<Guid, string> sites = await SiteNamesAsync(db, cancellationToken);
        return [.. (await db.StorageMappings.AsNoTracking().OrderBy(row => row.SourcePool).ToListAsync(cancellationToken)).Select(row => ToDto(row, sites))];
    }

    public async Task<StorageMappingDto> MapAsync(MapStorageDto request, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        List<HostRow> hosts = await asker.LookAsync(await db.Hosts.AsNoTracking().ToListAsync(cancellationToken), cancellationToken); // it may have been defined a moment ago
        (SiteRow source, SiteRow target) = await SitePair.FindAsync(
            db, request.SourceSite, request.TargetSite, hosts, host => Has(host, request.SourcePool), Errors.UnknownPool("No host", request.SourcePool), cancellationToken);
        RequirePool(hosts, source, request.SourcePool);
        if (request.TargetPool != HostPool.None)
        {
            RequirePool(hosts, target, request.TargetPool);
        }

        StorageMappingRow? row = await db.StorageMappings.FindAsync([source.Id, request.SourcePool, target.Id], cancellationToken);
        if (row is null)
        {
            row = new StorageMappingRow { SourceSite = source.Id, SourcePool = request.SourcePool, TargetSite = target.Id, TargetPool = request.TargetPool };
            db.StorageMappings.Add(row);
        }

        row.TargetPool = request.TargetPool;
        await db.SaveChangesAsync(cancellationToken);
        return ToDto(row, await SiteNamesAsync(db, cancellationToken));
    }

    public async Task UnmapAsync(string sourceSite, string sourcePool, string targetSite, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        SiteRow source = await SiteStore.FindAsync(db, sourceSite, cancellationToken);
        SiteRow target = await SiteStore.FindAsync(db, targetSite, cancellationToken);
        if (await db.StorageMappings.Where(row => row.SourceSite == source.Id && row.SourcePool == sourcePool && row.TargetSite == target.Id)
            .ExecuteDeleteAsync(cancellationToken) == 0)
        {
            throw new ErrorException(Errors.UnknownStorageMapping(sourcePool));
        }
    }

    public static async Task<IReadOnlyList<StorageMapping>> BetweenAsync(VaultDb db, Guid sourceSite, Guid targetSite, CancellationToken cancellationToken) =>
        [.. (await db.StorageMappings.AsNoTracking().Where(row => row.SourceSite == sourceSite && row.TargetSite == targetSite).ToListAsync(cancellationToken))
            .Select(row => new StorageMapping(new SiteId(row.SourceSite), row.SourcePool, new SiteId(row.TargetSite), row.TargetPool))];

    private static IReadOnlyList<HostPool> PoolsOf(HostRow host) => HostStore.FactsOf(host)?.Pools ?? [];

    private static StorageMappingDto ToDto(StorageMappingRow row, Dictionary<Guid, string> sites) =>
        new(sites[row.SourceSite], row.SourcePool, sites[row.TargetSite], row.TargetPool);

    private static Task<Dictionary<Guid, string>> SiteNamesAsync(VaultDb db, CancellationToken cancellationToken) =>
        db.Sites.ToDictionaryAsync(row => row.Id, row => row.Name, cancellationToken);

    private static bool Has(HostRow host, string pool) => PoolsOf(host).Any(known => known.Name == pool);

    private static void RequirePool(List<HostRow> hosts, SiteRow site, string pool)
    {
        if (!hosts.Any(host => host.SiteId == site.Id && Has(host, pool)))
        {
            throw new ErrorException(Errors.UnknownPool($"Site {site.Name}", pool));
        }
    }
}
