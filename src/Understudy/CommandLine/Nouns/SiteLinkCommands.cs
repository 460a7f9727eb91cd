using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>Which of two sites listens for the other (REG-3).</summary>
internal static class SiteLinkCommands
{
    private static readonly Argument<string> _site = new("site") { Description = "Name of the site" };
    private static readonly Argument<string> _other = new("other") { Description = "Name of the other site" };
    private static readonly Option<string> _listens = new("--listens")
    {
        Description = "The only one of the two that listens: the other one dials, also for VMs that are replicated to it. Or default: the target of a VM listens",
        Required = true,
    };

    public static Command Link(CommandFactory make) => make.Verb(
        "link", "Choose which of two sites listens for replication", async (c, ct) => c.Show(
            await c.Vault.LinkSitesAsync(new SiteLinkSetDto(c.Get(_site), c.Get(_other), c.Get(_listens)!), ct), // required
            CommandContext.Types.SiteLinkedDto, (linked, o) =>
            {
                o.WriteLine($"between {linked.Site} and {linked.Other} {Choice(linked.Listens)} from now on; `understudy site show {linked.Site}` tells what is still outstanding");
                foreach (string line in linked.Unchecked)
                {
                    o.WriteLine(line);
                }
            }), _site, _other, _listens);

    public static Command Show(CommandFactory make) => make.Verb(
        "show", "Show a site: its hosts, and who listens between it and the others", async (c, ct) =>
        {
            string name = c.Get(_site);
            SiteDto site = (await c.Vault.ListSitesAsync(ct)).FirstOrDefault(candidate => candidate.Name == name) ?? throw new ErrorException(Errors.UnknownSite(name));
            return c.Show(site, CommandContext.Types.SiteDto, Page);
        }, _site);

    /// <summary>Of all the other sites, short.</summary>
    public static string Summary(SiteDto site) => string.Join(
        "; ", site.Links.Where(link => link.Listens is not null || link.Outstanding.Count > 0)
            .Select(link => $"{link.Site}: {(link.Listens is null ? "default" : $"only {link.Listens}")}{(link.Outstanding.Count > 0 ? ", outstanding" : "")}"));

    private static void Page(SiteDto site, TextWriter o)
    {
        CommandLine.Show.Facts(o, ("name", site.Name), ("hosts", string.Join(", ", site.Hosts)));
        foreach (SiteLinkDto link in site.Links)
        {
            o.WriteLine($"with {link.Site}: {Choice(link.Listens)}");
            foreach (string line in link.Outstanding)
            {
                o.WriteLine($"  outstanding: {line}");
            }
        }
    }

    private static string Choice(string? listens) => listens is null ? "the target of a VM listens (the default)" : $"only {listens} listens";
}
