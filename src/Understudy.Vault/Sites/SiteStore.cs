using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>Places with hosts.</summary>
internal sealed class SiteStore(VaultStorage storage, IIdSource ids)
{
    public async Task<IReadOnlyList<SiteDto>> ListAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        List<HostRow> hosts = await db.Hosts.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        List<SiteRow> sites = await db.Sites.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        return [.. sites.Select(site => new SiteDto(site.Id, site.Name, [.. hosts.Where(host => host.SiteId == site.Id).Select(host => host.Name)]))];
    }

    public async Task<SiteDto> AddAsync(string? name, CancellationToken cancellationToken)
    {
        if (!VmNames.IsLawful(name))
        {
            throw new ErrorException(Errors.BadName("site", name ?? ""));
        }

        await using VaultDb db = storage.Open();
        if (await db.Sites.AnyAsync(row => row.Name == name, cancellationToken))
        {
            throw new ErrorException(Errors.Exists("site", name!)); // lawful names are not null
        }

        SiteRow site = new() { Id = ids.NewGuid(), Name = name! }; // as above
        db.Sites.Add(site);
        await db.SaveChangesAsync(cancellationToken);
        return new SiteDto(site.Id, site.Name, []);
    }

    public async Task RemoveAsync(string name, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        SiteRow site = await FindAsync(db, name, cancellationToken);
        if (await db.Hosts.Where(row => row.SiteId == site.Id).Select(row => row.Name).FirstOrDefaultAsync(cancellationToken) is { } host)
        {
            throw new ErrorException(Errors.InUse("site", site.Name, $"host {host}"));
        }

        db.Mappings.RemoveRange(db.Mappings.Where(row => row.SourceSite == site.Id || row.TargetSite == site.Id));
        db.StorageMappings.RemoveRange(db.StorageMappings.Where(row => row.SourceSite == site.Id || row.TargetSite == site.Id));
        db.RegistrationKeys.RemoveRange(db.RegistrationKeys.Where(row => row.SiteId == site.Id));
        db.Sites.Remove(site);
        await db.SaveChangesAsync(cancellationToken);
    }

    public static async Task<SiteRow> FindAsync(VaultDb db, string name, CancellationToken cancellationToken) =>
        await db.Sites.SingleOrDefaultAsync(row => row.Name == name, cancellationToken)
        ?? throw new ErrorException(Errors.UnknownSite(name));
}
