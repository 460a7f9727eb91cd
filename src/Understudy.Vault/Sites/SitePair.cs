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
            ? throw new ErrorException(Errors.BadValue("the target site", target.Name, "a mapping leads to another site"))
            : new SitePair(source, target);
    }

    private static async Task<SiteRow> OnlySiteWithAsync(
        VaultDb db, IReadOnlyList<HostRow> hosts, Func<HostRow, bool> has, ErrorInfo unknown, CancellationToken cancellationToken)
    {
        Guid[] sites = [.. hosts.Where(has).Select(host => host.SiteId).Distinct()];
        List<SiteRow> rows = await db.Sites.Where(row => sites.Contains(row.Id)).ToListAsync(cancellationToken);
        return rows.Count == 1
            ? rows[0]
            : throw new ErrorException(rows.Count == 0 ? unknown : Unsaid("source", "--from-site", "sourceSite", rows));
    }

    private static async Task<SiteRow> OtherSiteAsync(VaultDb db, SiteRow source, CancellationToken cancellationToken)
    {
        List<SiteRow> others = await db.Sites.Where(row => row.Id != source.Id).ToListAsync(cancellationToken);
        return others.Count switch
        {
            0 => throw new ErrorException(Errors.MissingValue("another site")),
            1 => others[0],
            _ => throw new ErrorException(Unsaid("target", "--to-site", "targetSite", others)),
        };
    }

    /// <param name="option">As the command line calls it.</param>
    /// <param name="field">As REST does.</param>
    private static ErrorInfo Unsaid(string which, string option, string field, IEnumerable<SiteRow> sites) => Errors.MissingValue($"the {which} site") with
    {
        Why = $"It can be {string.Join(" or ", sites.Select(row => row.Name).Order(StringComparer.Ordinal))}.",
        Next = $"Give `{option} SITE` (in REST {field}).",
    };
}
