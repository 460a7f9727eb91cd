using Understudy.Model;

namespace Understudy.Plans;

/// <summary>Which storage pool of the target a replica is made in (CFG-6): the user's choice first, then the map, then the agent's own
/// folders.</summary>
public static class PoolPlanner
{
    /// <param name="wanted">A pool, "none" for the agent's own folders, or null for what the map says.</param>
    /// <returns>The pool, null for the agent's own folders; or the reason why it cannot be used.</returns>
    public static (HostPool? Pool, ErrorInfo? Error) Plan(
        string? wanted, DiscoveredVm vm, HostFacts? source, IReadOnlyList<StorageMapping> mappings, string targetHost, HostFacts? target)
    {
        string? name = wanted ?? Mapped(vm, source?.Pools ?? [], mappings);
        if (name is null or HostPool.None)
        {
            return (null, null);
        }

        HostPool? pool = target?.Pools?.FirstOrDefault(known => known.Name == name);
        return pool switch
        {
            null => (null, Errors.UnknownPool(targetHost, name)),
            { IsFolder: false } => (null, Errors.PoolUnusable(targetHost, name, $"it is of type {pool.Type}, and replicas live in folders")),
            { Active: false } => (null, Errors.PoolUnusable(targetHost, name, "it is not active")),
            _ => (pool, null),
        };
    }

    /// <summary>The pool that an image is in: of pools within each other, the innermost.</summary>
    public static HostPool? PoolOf(string? image, IReadOnlyList<HostPool> pools) => image is null ? null : pools
        .Where(pool => pool.Path is { } path && image.StartsWith(path.TrimEnd('/') + "/", StringComparison.Ordinal))
        .MaxBy(pool => pool.Path!.Length); // has one, as just seen

    /// <summary>A replica is in one place: where its first disk's pool leads to.</summary>
    private static string? Mapped(DiscoveredVm vm, IReadOnlyList<HostPool> pools, IReadOnlyList<StorageMapping> mappings)
    {
        string? image = vm.Disks.FirstOrDefault(disk => disk is { Device: "disk", ReadOnly: false })?.Source;
        string? pool = PoolOf(image, pools)?.Name;
        return mappings.FirstOrDefault(mapping => mapping.SourcePool == pool)?.TargetPool;
    }
}
