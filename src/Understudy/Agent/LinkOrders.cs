using Understudy.Api.Control;
using Understudy.Blocks;

namespace Understudy.Agent;

/// <summary>The vault's orders about who dials whom (REG-3).</summary>
internal static class LinkOrders
{
    public static void Register(AgentOperations operations, SourceSide source, TargetSide target, HostView view, AgentSettings settings, ReplicationListener listener)
    {
        operations.On(AgentMethods.SourceLink, (request, _, ct) => OrderAnswer.Done(() => source.LinkAsync(request, ct)));
        operations.On(AgentMethods.TargetLink, (request, _, ct) => OrderAnswer.Done(() => target.LinkAsync(request, ct)));
        AsyncGate port = new(); // an order to open and one to close take turns
        operations.On(AgentMethods.HostListen, async (request, _, ct) =>
        {
            using (await port.EnterAsync(ct))
            {
                await ListenAsync(request.Listens, settings, listener, ct);
            }

            return new HostFactsAnswer(await view.FactsAsync(ct), TimeProvider.System.GetUtcNow());
        });
    }

    /// <summary>A port that opens is kept so once it is bound; one that closes is closed once that is kept: a start after a
    /// crash between the two never fails for a port that was not to be had.</summary>
    private static async Task ListenAsync(bool listens, AgentSettings settings, ReplicationListener listener, CancellationToken cancellationToken)
    {
        if (listens)
        {
            listener.Open();
        }

        await settings.ListenAsync(listens, cancellationToken);
        if (!listens)
        {
            listener.Close();
        }
    }
}
