using System.Collections.Concurrent;
using Understudy.Model;

namespace Understudy.Vault.Agents;

/// <summary>Who is connected now. An agent that comes again replaces its older connection, which may be half dead.</summary>
internal sealed class AgentRegistry(Changes changes)
{
    private readonly ConcurrentDictionary<HostId, AgentSession> _sessions = new();

    public AgentSession? Find(HostId host) => _sessions.GetValueOrDefault(host);

    public void Add(AgentSession session)
    {
        AgentSession? older = null;
        _sessions.AddOrUpdate(session.Host, session, (_, present) =>
        {
            older = present;
            return session;
        });
        older?.Close();
        changes.Publish(Changes.Hosts);
    }

    /// <returns>False when a newer session has taken its place.</returns>
    public bool Remove(AgentSession session)
    {
        bool removed = _sessions.TryRemove(new KeyValuePair<HostId, AgentSession>(session.Host, session));
        changes.Publish(Changes.Hosts);
        return removed;
    }

    /// <summary>The host's session, waiting for it to connect.</summary>
    public async Task<AgentSession> WaitAsync(HostId host, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task change = changes.Next(Changes.Hosts);
            if (Find(host) is { } session)
            {
                return session;
            }

            await change.WaitAsync(cancellationToken);
        }
    }
}
