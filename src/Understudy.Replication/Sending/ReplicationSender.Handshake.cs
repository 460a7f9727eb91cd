using Understudy.Replication.Wire;

namespace Understudy.Replication.Sending;

public sealed partial class ReplicationSender
{
    private static async ValueTask<ReplicationSender> ShakeHandsAsync(
        Stream stream, SenderIdentity identity, TimeProvider time, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(new Banner(ProtocolLimits.Version, identity.Software).Encode(), cancellationToken);
        await stream.WriteAsync(
            ControlFrameCodec.Encode(new ControlFrame.Hello(identity.Replica, identity.Vm, identity.Line, ProtocolFeatures.Comparison)),
            cancellationToken);
        await stream.FlushAsync(cancellationToken);

        FrameParser parser = new();
        Banner? peer = null;
        while (true)
        {
            switch (parser.Next())
            {
                case ParseResult.Greeting greeting:
                    peer = greeting.Banner;
                    break;
                case ParseResult.Control { Frame: ControlFrame.Welcome welcome } when peer is { ProtocolVersion: ProtocolLimits.Version }:
                    return new ReplicationSender(stream, parser, welcome, peer, time).StartLoops();
                case ParseResult.Control { Frame: ControlFrame.Refuse refuse }:
                    throw new RefusedException(refuse.Refusal, byPeer: true);
                case ParseResult.NeedMore:
                    int read = await stream.ReadAsync(parser.GetFreeSpace(), cancellationToken);
                    if (read == 0)
                    {
                        throw new ConnectionLostException("the other side closed the connection during the handshake");
                    }

                    parser.Advance(read);
                    break;
                case ParseResult.Broken broken:
                    throw new RefusedException(Refusal.Malformed(broken.What), byPeer: false);
                case var other:
                    throw new RefusedException(Refusal.Malformed($"{Describe(other)} came instead of WELCOME"), byPeer: false);
            }
        }
    }

    private static string Describe(ParseResult result) =>
        result is ParseResult.Control { Frame: var frame } ? frame.GetType().Name : result.GetType().Name;
}
