using System.Net;
using System.Net.Sockets;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Replication.Receiving;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>
/// Takes replication in: accepts, proves the peer, hands the stream to the receiver. A stranger costs one handshake with
/// a deadline; more than <see cref="MostConnections"/> at a time are turned away unread.
/// </summary>
internal sealed class ReplicationListener(IPEndPoint endPoint, ReplicationReceiver receiver, Func<TlsIdentity> identity, ILogger logger) : IDisposable
{
    /// <summary>One a replica and some in handshakes: a host of a thousand replicas has room.</summary>
    public const int MostConnections = 2048;

    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan HandshakeTime = TimeSpan.FromSeconds(10);

    private readonly Socket _socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
    private readonly HashSet<Task> _connections = []; // touched by RunAsync only

    /// <summary>Binds now, so that a taken port is an error at start and not later.</summary>
    public void Listen()
    {
        try
        {
            _socket.Bind(endPoint);
            _socket.Listen(128);
        }
        catch (SocketException e)
        {
            throw new ErrorException(Errors.BadValue("--listen", endPoint.ToString(), e.Message), e);
        }
    }

    /// <summary>Runs until the token ends it, and then until every connection has let go.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                if (await AcceptAsync(cancellationToken) is not { } peer)
                {
                    continue;
                }

                _connections.RemoveWhere(c => c.IsCompleted);
                if (_connections.Count >= MostConnections)
                {
                    peer.Dispose();
                    continue;
                }

                _connections.Add(ServeAsync(peer, cancellationToken));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The way to stop.
        }

        await Task.WhenAll(_connections);
    }

    public void Dispose() => _socket.Dispose();

    /// <summary>Null when the system could not (out of descriptors, the peer gone already): said, and tried again in a moment.</summary>
    private async Task<Socket?> AcceptAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _socket.AcceptAsync(cancellationToken);
        }
        catch (SocketException e)
        {
            AgentLog.CannotAccept(logger, e.Message);
            await Task.Delay(AcceptPause, cancellationToken);
            return null;
        }
    }

    private async Task ServeAsync(Socket peer, CancellationToken cancellationToken)
    {
        await Task.Yield(); // The accept loop goes on.
        string remote = "?";
        try
        {
            await using NetworkStream stream = new(peer, ownsSocket: true);
            remote = peer.RemoteEndPoint?.ToString() ?? "?";
            peer.NoDelay = true;
            using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(HandshakeTime);
            await using AuthenticatedConnection connection = await MutualTls.AcceptAsync(stream, identity(), deadline.Token);
            await receiver.ServeAsync(connection.Stream, connection.AgentId, cancellationToken);
        }
        catch (Exception e) when (e is IOException or SocketException or UnderstudyException or OperationCanceledException)
        {
            AgentLog.PeerTurnedAway(logger, remote, e.Message);
        }
        catch (Exception e)
        {
            AgentLog.ConnectionBroke(logger, remote, e.Message, e); // This connection is over; the others go on.
        }
    }
}
