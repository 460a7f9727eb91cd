using Microsoft.EntityFrameworkCore;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>From which site to which a map leads. What is left out has to follow from what the hosts have.</summary>
internal sealed record SitePair(SiteRow Source, SiteRow Target)
{
    /// <param name="sourceSite">Null: the only site with a host that has the thing.</param>
    /// <param name="targetSite">Null: the only other site.</param>
    /// <param name="has">Whether a host has what is mapped.</param>
    /// <param name="unknown">What is said when none has.</param>
    /// <exception cref="ErrorException">A site is unknown, does not follow, or both are one.</exception>
    public static async Task<SitePair> FindAsync(
        VaultDb db, string? sourceSite, string? targetSite, IReadOnlyList<HostRow> hosts, Func<HostRow, bool> has, ErrorInfo unknown, CancellationToken cancellationToken)
    {
        SiteRow source = sourceSite is null
            ? await OnlySiteWithAsync(db, hosts, has, unknown, cancellationToken)
            : await SiteStore.FindAsync(db, sourceSite, cancellationToken);
        SiteRow target = targetSite is null
            ? await OtherSiteAsync(db, source, cancellationToken)
            : await SiteStore.FindAsync(db, targetSite, cancellationToken);
        return source.Id == target.Id
            ? throw new ErrorException(Errors.BadValue("targetSite", target.Name, "a mapping leads to another site"))
            : new SitePair(source, target);
    }

    private static async Task<SiteRow> OnlySiteWithAsync(
        VaultDb db, IReadOnlyList<HostRow> hosts, Func<HostRow, bool> has, ErrorInfo unknown, CancellationToken cancellationToken)
    {
        Guid[] sites = [.. hosts.Where(has).Select(host => host.SiteId).Distinct()];
        return sites.Length == 1
            ? await db.Sites.SingleAsync(row => row.Id == sites[0], cancellationToken)
            : throw new ErrorException(sites.Length == 0 ? unknown : Errors.MissingValue("sourceSite"));
    }

    private static async Task<SiteRow> OtherSiteAsync(VaultDb db, SiteRow source, CancellationToken cancellationToken)
    {
        List<SiteRow> others = await db.Sites.Where(row => row.Id != source.Id).Take(2).ToListAsync(cancellationToken);
        return others.Count == 1 ? others[0] : throw new ErrorException(Errors.MissingValue("targetSite"));
    }
}
