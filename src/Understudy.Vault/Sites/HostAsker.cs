using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>
/// Asks a host what it has at this moment. Agents tell their facts each half a minute, and nobody is to be refused for what has
/// been mended since: a pool that was started, space that was made. What is answered is not kept. An agent tells only what has
/// changed since it told last, so a picture kept here beside that would stay when the host goes back to what it told before.
/// </summary>
internal sealed class HostAsker(AgentRegistry agents)
{
    /// <returns>The host as it is now; as it is known, where nobody answers within the limit of such questions.</returns>
    public async Task<HostRow> LookAsync(HostRow known, CancellationToken cancellationToken) =>
        agents.Find(new HostId(known.Id)) is { } session && await session.TryGetFactsAsync(cancellationToken) is { } facts ? With(known, facts) : known;

    /// <summary>All at once: of several that do not answer, none is waited for after the other.</summary>
    public async Task<List<HostRow>> LookAsync(IReadOnlyList<HostRow> known, CancellationToken cancellationToken) =>
        [.. await Task.WhenAll(known.Select(host => LookAsync(host, cancellationToken)))];

    /// <summary>A copy: a row that the database tracks would be written back with it.</summary>
    private static HostRow With(HostRow known, HostFacts facts) => new()
    {
        Id = known.Id,
        SiteId = known.SiteId,
        Name = known.Name,
        ReplicationEndpoint = known.ReplicationEndpoint,
        JoinedAt = known.JoinedAt,
        LastSeenAt = known.LastSeenAt,
        FactsJson = VaultJson.Write(facts, VaultJson.Default.HostFacts),
        MaintenanceJson = known.MaintenanceJson,
    };
}
