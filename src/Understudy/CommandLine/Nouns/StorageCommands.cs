using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>`understudy storage`: pools of all hosts, and where replicas of their VMs go.</summary>
internal static class StorageCommands
{
    private static readonly Argument<string> _pool = new("pool") { Description = "Storage pool at the source site" };
    private static readonly Option<string> _to = new("--to") { Description = "Storage pool at the target site; none for the agents' own folders", Required = true };
    private static readonly Option<string?> _fromSite = new("--from-site") { Description = "Source site (needed when several have the pool)" };
    private static readonly Option<string?> _toSite = new("--to-site") { Description = "Target site (needed when there are more than two sites)" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "storage",
        "Storage pools, and where replicas of their VMs go at the other site",
        make.Verb("list", "List storage pools and mappings", async (c, ct) => c.Show(await c.Vault.ListPoolsAsync(ct), CommandContext.Types.IReadOnlyListPoolDto, List)),
        make.Verb("map", "Map a pool to one of the other site; for VMs that are protected from now on", MapAsync, _pool, _to, _fromSite, _toSite),
        make.Verb("unmap", "Remove a mapping", UnmapAsync, _pool, _fromSite, _toSite));

    private static async Task<ExitCode> MapAsync(CommandContext c, CancellationToken ct)
    {
        MapStorageDto request = new(c.Get(_pool), c.Get(_to)!, c.Get(_fromSite), c.Get(_toSite)); // --to is required
        return c.Show(await c.Vault.MapStorageAsync(request, ct), CommandContext.Types.StorageMappingDto, (m, o) =>
            o.WriteLine($"{m.SourcePool} at {m.SourceSite} goes to {m.TargetPool} at {m.TargetSite}"));
    }

    private static async Task<ExitCode> UnmapAsync(CommandContext c, CancellationToken ct)
    {
        StorageMappingDto[] fitting = [.. (await c.Vault.ListStorageMappingsAsync(ct)).Where(m => m.SourcePool == c.Get(_pool)
            && (c.Get(_fromSite) ?? m.SourceSite) == m.SourceSite && (c.Get(_toSite) ?? m.TargetSite) == m.TargetSite)];
        if (fitting.Length != 1)
        {
            throw new ErrorException(fitting.Length == 0
                ? Errors.UnknownStorageMapping(c.Get(_pool))
                : Errors.BadValue("pool", c.Get(_pool), "it is mapped more than once; name the sites with --from-site and --to-site"));
        }

        await c.Vault.UnmapStorageAsync(fitting[0].SourceSite, fitting[0].SourcePool, fitting[0].TargetSite, ct);
        return c.Say($"{fitting[0].SourcePool} at {fitting[0].SourceSite} is no longer mapped to {fitting[0].TargetSite}");
    }

    private static void List(IReadOnlyList<PoolDto> pools, TextWriter output)
    {
        Table table = new("name", "site", "host", "type", "active", "free", "path", "mapped to");
        foreach (PoolDto pool in pools)
        {
            table.Row(pool.Name, pool.Site, pool.Host, pool.Type, Show.YesNo(pool.Active), Show.Bytes(pool.FreeBytes), pool.Path, string.Join(", ", pool.MappedTo));
        }

        table.WriteTo(output);
    }
}
