namespace Understudy.Api.Rest;

/// <param name="Path">Null for a pool that is no folder; replicas cannot be put there.</param>
/// <param name="MappedTo">"pool at site", one for each mapping it is the source of.</param>
public sealed record PoolDto(
    string Name, string Site, string Host, string Type, string? Path, bool Active, long FreeBytes, long TotalBytes, IReadOnlyList<string> MappedTo);

public sealed record StorageMappingDto(string SourceSite, string SourcePool, string TargetSite, string TargetPool);

/// <param name="TargetPool">A pool there, or "none" for the agents' own folders.</param>
/// <param name="SourceSite">May be left out when only one site has the pool.</param>
/// <param name="TargetSite">May be left out when there are two sites.</param>
public sealed record MapStorageDto(string SourcePool, string TargetPool, string? SourceSite = null, string? TargetSite = null);
