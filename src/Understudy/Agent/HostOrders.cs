using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>The vault's questions about the host itself.</summary>
internal static class HostOrders
{
    public static void Register(AgentOperations operations, HostView view, IHostFitness fitness, AgentIdentity member, ProxyTrials proxies)
    {
        Func<TlsIdentity> identity = member.Tls;
        operations.On(AgentMethods.HostConfigure, async (request, _, ct) =>
        {
            if (request.Name is { } name)
            {
                await member.UseNameAsync(name, ct);
            }

            if (request.Proxy is { } proxy)
            {
                await proxies.BeginAsync(ProxyState.Checked(proxy), ct);
            }

            return new HostFactsAnswer(await view.FactsAsync(ct), TimeProvider.System.GetUtcNow());
        });
        operations.On(AgentMethods.HostFacts, async (_, _, ct) => new HostFactsAnswer(await view.FactsAsync(ct), TimeProvider.System.GetUtcNow()));
        operations.On(AgentMethods.HostFit, (request, _, ct) => FitAsync(request, fitness, ct));
        operations.On(AgentMethods.PeerCheck, async (request, _, ct) => new PeerCheckAnswer(await CheckPeerAsync(request, identity, ct)));
    }

    private static async Task<HostFitAnswer> FitAsync(HostFitRequest request, IHostFitness fitness, CancellationToken cancellationToken) =>
        new(Facts.Of(await fitness.CheckFitAsync(Facts.Of(request.Needs), cancellationToken)));

    /// <summary>Dials as a source would, up to the other side's certificate; no replica is touched.</summary>
    private static async Task<ErrorInfo?> CheckPeerAsync(PeerCheckRequest request, Func<TlsIdentity> identity, CancellationToken cancellationToken)
    {
        try
        {
            await using Stream stream = await new PeerConnector(request.Endpoint, request.Peer.Value, identity).ConnectAsync(cancellationToken);
            return null;
        }
        catch (UnderstudyException e)
        {
            return new ErrorInfo(ErrorKind.Failed, "peer-unreachable", e.Message.TrimEnd('.'), "Replication needs this connection.", e.Remedy ?? "See the agents' logs.");
        }
    }
}
