using System.Net;
using Understudy.Blocks;

namespace Understudy.Vault;

/// <summary>What the executable tells the vault about its place in the world.</summary>
public sealed record VaultSettings
{
    /// <summary>Database, authority and administrator's token; made when missing, readable for its owner only.</summary>
    public required string DataFolder { get; init; }

    /// <summary>Stands in the names of key files.</summary>
    public string Name { get; init; } = "understudy";

    /// <summary>REST, agents and the OpenAPI document share this one port.</summary>
    public IPEndPoint Listen { get; init; } = new(IPAddress.Any, 443);

    /// <summary>Addresses under which hosts and users reach the vault, as "https://name:port"; empty for this host's name and the port.</summary>
    public IReadOnlyList<string> PublicUrls { get; init; } = [];

    /// <summary>How long a job's step waits for a host that has gone away before it fails.</summary>
    public TimeSpan HostReturnLimit { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a clock must have gone on evenly, since the vault started or the clock was set, before a policy commits or
    /// cancels by it, or a maintenance ends by it: as long as a wrong one may take to be corrected.</summary>
    public TimeSpan ClockPatience { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How often the vault's state is copied to the target hosts (REG-8).</summary>
    public TimeSpan CopyEvery { get; init; } = TimeSpan.FromHours(1);

    public required TimeProvider Time { get; init; }

    public required IIdSource Ids { get; init; }
}
