using Understudy.Protection.Source;
using Understudy.Replication.Wire;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>The way from one host's agent to the other's.</summary>
internal sealed class SiteConnector(SitesWorld world, SimProcess process, Site target) : IPeerConnector
{
    private readonly SitesWorld _world = world;
    private readonly SimProcess _process = process;
    private readonly Site _target = target;

    public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _world.Network.ConnectAsync(_process, _target.Host, SiteAgent.Port, cancellationToken);
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
            await using Stream stream = await _world.Network.ConnectAsync(_process, _target.Host, SiteAgent.Port, cancellationToken);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
