using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>The vault's questions about the host itself.</summary>
internal static class HostOrders
{
    public static void Register(AgentOperations operations, HostView view, PeerDialler dialler)
    {
        operations.On(AgentMethods.HostFacts, async (_, _, ct) => new HostFactsAnswer(await view.FactsAsync(ct), TimeProvider.System.GetUtcNow()));
        operations.On(AgentMethods.PeerCheck, async (request, _, ct) => new PeerCheckAnswer(await CheckPeerAsync(request, dialler, ct)));
    }

    /// <summary>Dials as a source would, up to the other side's certificate; no replica is touched.</summary>
    private static async Task<ErrorInfo?> CheckPeerAsync(PeerCheckRequest request, PeerDialler dialler, CancellationToken cancellationToken)
    {
        try
        {
            await using Stream stream = await dialler.ConnectAsync(request.Endpoint, request.Peer.Value, cancellationToken);
            return null;
        }
        catch (UnderstudyException e)
        {
            return new ErrorInfo(ErrorKind.Failed, "peer-unreachable", e.Message.TrimEnd('.'), "Replication needs this connection.", e.Remedy ?? "See the agents' logs.");
        }
    }
}
