using Understudy.Protection.Source;
using Understudy.Replication.Wire;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>The way from one host's agent to the other's.</summary>
internal sealed class SiteConnector(SitesWorld world, SimProcess process, Site target) : IPeerConnector
{
    // As the executable's.
    private static readonly TimeSpan ConnectTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ProbeTime = TimeSpan.FromSeconds(2);

    private readonly SitesWorld _world = world;
    private readonly SimProcess _process = process;
    private readonly Site _target = target;

    public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ConnectAsync(ConnectTime, cancellationToken);
        }
        catch (IOException failed)
        {
            throw new ConnectionLostException(failed.Message, failed);
        }
    }

    public async ValueTask<bool> ProbeAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using Stream stream = await ConnectAsync(ProbeTime, cancellationToken);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task<Stream> ConnectAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = new(limit, _process.Time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            return await _world.Network.ConnectAsync(_process, _target.Host, SiteAgent.Port, either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"no answer within {limit.TotalSeconds} s (simulated)");
        }
    }
}
