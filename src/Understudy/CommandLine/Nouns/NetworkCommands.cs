using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class NetworkCommands
{
    private static readonly Argument<string> _network = new("network") { Description = "Network at the source site" };
    private static readonly Option<string> _to = new("--to") { Description = "Network at the target site", Required = true };
    private static readonly Option<string?> _fromSite = new("--from-site") { Description = "Source site (needed when several have the network)" };
    private static readonly Option<string?> _toSite = new("--to-site") { Description = "Target site (needed when there are more than two sites)" };
    private static readonly Option<string?> _test = new("--test-network") { Description = "Network of the target that tests use instead of one made for each" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "network",
        "Networks, and where their NICs go at the other site",
        make.Verb("list", "List networks and mappings", async (c, ct) => c.Show(
            await c.Vault.ListNetworksAsync(ct), CommandContext.Types.IReadOnlyListNetworkDto, List)),
        make.Verb("map", "Map a network to one of the other site", MapAsync, _network, _to, _fromSite, _toSite, _test),
        make.Verb("unmap", "Remove a mapping", UnmapAsync, _network, _fromSite, _toSite));

    private static async Task<ExitCode> MapAsync(CommandContext c, CancellationToken ct)
    {
        MapNetworkDto request = new(c.Get(_network), c.Get(_to)!, c.Get(_fromSite), c.Get(_toSite), c.Get(_test)); // --to is required
        return c.Show(await c.Vault.MapNetworkAsync(request, ct), CommandContext.Types.MappingDto, (m, o) =>
            o.WriteLine($"{m.SourceNetwork} at {m.SourceSite} goes to {m.TargetNetwork} at {m.TargetSite}"));
    }

    private static async Task<ExitCode> UnmapAsync(CommandContext c, CancellationToken ct)
    {
        MappingDto[] fitting = [.. (await c.Vault.ListMappingsAsync(ct)).Where(m => m.SourceNetwork == c.Get(_network)
            && (c.Get(_fromSite) ?? m.SourceSite) == m.SourceSite && (c.Get(_toSite) ?? m.TargetSite) == m.TargetSite)];
        if (fitting.Length != 1)
        {
            throw new ErrorException(fitting.Length == 0
                ? Errors.UnknownMapping(c.Get(_network))
                : Errors.BadValue("network", c.Get(_network), "it is mapped more than once; name the sites with --from-site and --to-site"));
        }

        await c.Vault.UnmapNetworkAsync(fitting[0].SourceSite, fitting[0].SourceNetwork, fitting[0].TargetSite, ct);
        return c.Say($"{fitting[0].SourceNetwork} at {fitting[0].SourceSite} is no longer mapped to {fitting[0].TargetSite}");
    }

    private static void List(IReadOnlyList<NetworkDto> networks, TextWriter output)
    {
        Table table = new("name", "site", "host", "active", "isolated", "mapped to");
        foreach (NetworkDto network in networks)
        {
            table.Row(network.Name, network.Site, network.Host, Show.YesNo(network.Active), Show.YesNo(network.Isolated), string.Join(", ", network.MappedTo));
        }

        table.WriteTo(output);
    }
}
