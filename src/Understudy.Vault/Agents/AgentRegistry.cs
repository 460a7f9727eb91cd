using System.Collections.Concurrent;
using Understudy.Model;

namespace Understudy.Vault.Agents;

/// <summary>Who is connected now. An agent that comes again replaces its older connection, which may be half dead.</summary>
internal sealed class AgentRegistry(Changes changes, TimeProvider time)
{
    /// <summary>Agents dial again within 10 s after the vault has started: until then an absent one is no news.</summary>
    private static readonly TimeSpan _dialling = TimeSpan.FromSeconds(15);

    private readonly DateTimeOffset _started = time.GetUtcNow();
    private readonly ConcurrentDictionary<HostId, AgentSession> _sessions = new();
    private readonly ConcurrentDictionary<HostId, ValueTuple> _gone = new(); // removed while this vault runs: nobody waits for those

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

    /// <summary>The host has been removed: it is not waited for any more.</summary>
    public void Forget(HostId host)
    {
        _gone.TryAdd(host, default);
        Find(host)?.Close();
        changes.Publish(Changes.Hosts);
    }

    /// <summary>Is the host connected? Just after a start of the vault it is given the time to say so.</summary>
    public async Task<bool> IsThereAsync(HostId host, CancellationToken cancellationToken)
    {
        TimeSpan since = time.GetUtcNow() - _started;
        TimeSpan left = since < TimeSpan.Zero ? _dialling : _dialling - since; // the clock may have been set back since
        if (Find(host) is not null || left <= TimeSpan.Zero)
        {
            return Find(host) is not null;
        }

        using CancellationTokenSource limit = new(left, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await WaitAsync(host, either.Token) is not null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>The host's session, waiting for it to connect; null once it has been removed.</summary>
    public async Task<AgentSession?> WaitAsync(HostId host, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task change = changes.Next(Changes.Hosts);
            if (Find(host) is { } session)
            {
                return session;
            }

            if (_gone.ContainsKey(host))
            {
                return null;
            }

            await change.WaitAsync(cancellationToken);
        }
    }
}
