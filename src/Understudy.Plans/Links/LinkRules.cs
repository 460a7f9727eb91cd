using System.Net;
using Understudy.Model;

namespace Understudy.Plans;

/// <summary>Who dials, and who listens, by the choices for pairs of sites. Pure.</summary>
public static class LinkRules
{
    public static bool TargetDials(SiteId source, SiteId target, IEnumerable<SiteLink> links) =>
        links.Any(link => link.Joins(source, target) && link.Listens == source);

    /// <summary>A site listens unless for every other site with hosts it is that one that does.</summary>
    public static bool Listens(SiteId site, IEnumerable<LinkedHost> hosts, IReadOnlyCollection<SiteLink> links)
    {
        SiteId[] others = [.. hosts.Select(host => host.Site).Where(other => other != site).Distinct()];
        return others.Length == 0 || others.Any(other => links.FirstOrDefault(link => link.Joins(site, other)) is not { } link || link.Listens == site);
    }

    /// <returns>Why no other host can dial this; null when it looks as if one could.</returns>
    public static string? WhyUnreachable(string endpoint)
    {
        int colon = endpoint.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(endpoint.AsSpan(colon + 1), out int port) || port is <= 0 or > 65535)
        {
            return "it is not NAME:PORT";
        }

        string name = endpoint[..colon].Trim('[', ']');
        return IPAddress.TryParse(name, out IPAddress? address)
            ? IPAddress.IsLoopback(address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) ? "that address is good on the host itself only" : null
            : name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase) ? "that name is good on the host itself only"
            : null;
    }
}
