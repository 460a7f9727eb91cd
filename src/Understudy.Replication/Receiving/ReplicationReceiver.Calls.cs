using Understudy.Replication.Calling;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

public sealed partial class ReplicationReceiver
{
    /// <summary>Returns when the source has taken the call; otherwise throws the refusal that the caller is to hear.</summary>
    private async Task HandOverAsync(IncomingCall call, ICalledSources calls, ReceiverChannel channel, CancellationToken cancellationToken)
    {
        if (!channel.IsBetweenFrames)
        {
            throw new RefusedException(Refusal.Malformed("something came behind a call that was not answered yet"), byPeer: false);
        }

        if (!calls.TryOffer(call))
        {
            throw new RefusedException(Refusal.UnknownSource(call.Replica), byPeer: false);
        }

        if (await call.WaitAsync(ProtocolLimits.CallWaits, time, cancellationToken) is { } refusal)
        {
            throw new RefusedException(refusal, byPeer: false);
        }

        Log.CallTaken(logger, call.Agent, call.Replica);
    }
}
