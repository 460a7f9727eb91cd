using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Protection.Source;
using Understudy.Replication.Calling;

namespace Understudy.Agent;

/// <summary>How its VMs' connections are made: dialled from here, or from the target (REG-3).</summary>
internal sealed partial class SourceSide
{
    /// <summary>Who dials from now on (REG-3); what is under way goes on over the next connection.</summary>
    public async Task LinkAsync(SourceLinkRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        RunningSource running = Require(request.Vm, request.Replica);
        await ChangeAsync(running, running.Order with { Endpoint = request.Endpoint, TargetDials = request.TargetDials });
    }

    /// <summary>A target has dialled. A stranger learns nothing: another's source is not told apart from one that is not there.</summary>
    public bool TryOffer(IncomingCall call)
    {
        if (Find(call.Vm) is not { } running || running.Source.Spec.Replica != call.Replica || running.Order.Target != call.Agent)
        {
            return false;
        }

        running.Reach.Offer(call);
        return true;
    }

    private PeerReach ReachOf(SourceOrder? order) => new(ConnectorOf(order), dials: order is not { TargetDials: true }, ownership.Time);

    private PeerConnector ConnectorOf(SourceOrder? order) => new(order?.Endpoint ?? "", order?.Target ?? Guid.Empty, dialler);
}
