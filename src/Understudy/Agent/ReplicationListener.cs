using System.Net;
using System.Net.Sockets;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Replication;
using Understudy.Replication.Receiving;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>
/// Takes replication in while its port is open: accepts, proves the peer, hands the stream to the receiver. A stranger costs
/// one handshake with a deadline; more than <see cref="MostConnections"/> at a time are turned away unread.
/// </summary>
internal sealed class ReplicationListener(IPEndPoint endPoint, ReplicationReceiver receiver, Func<TlsIdentity> identity, ILogger logger) : IDisposable
{
    /// <summary>One a replica and some in handshakes: a host of a thousand replicas has room.</summary>
    public const int MostConnections = 2048;

    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan HandshakeTime = TimeSpan.FromSeconds(10);

    private readonly Pulse _changed = new();
    private readonly HashSet<Task> _connections = []; // touched by RunAsync only
    private volatile Socket? _socket; // set by whoever opens or closes, in turns; read by RunAsync

    public bool IsOpen => _socket is not null;

    /// <summary>Binds now, so that a taken port is an error at once and not later. Open already, it stays so.</summary>
    public void Open()
    {
        if (_socket is not null)
        {
            return;
        }

        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endPoint);
            socket.Listen(128);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new ErrorException(Errors.BadValue("--listen", endPoint.ToString(), e.Message), e);
        }

        _socket = socket;
        _changed.Beat();
        AgentLog.PortOpen(logger, endPoint.ToString());
    }

    /// <summary>Nobody comes in any more; connections that stand go on to their end.</summary>
    public void Close()
    {
        if (_socket is { } socket)
        {
            _socket = null;
            socket.Dispose();
            _changed.Beat();
            AgentLog.PortClosed(logger, endPoint.ToString());
        }
    }

    /// <summary>Runs until the token ends it, and then until every connection has let go.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                long seen = _changed.Beats;
                if (_socket is { } socket)
                {
                    await AcceptAsync(socket, cancellationToken);
                }
                else
                {
                    await _changed.WaitPastAsync(seen, cancellationToken);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The way to stop.
        }

        await Task.WhenAll(_connections);
    }

    public void Dispose() => _socket?.Dispose();

    /// <summary>What the system could not do (out of descriptors, the peer gone already) is said, and tried again in a moment.</summary>
    private async Task AcceptAsync(Socket socket, CancellationToken cancellationToken)
    {
        Socket peer;
        try
        {
            peer = await socket.AcceptAsync(cancellationToken);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            if (_socket == socket)
            {
                AgentLog.CannotAccept(logger, e.Message);
                await Task.Delay(AcceptPause, cancellationToken);
            }

            return;
        }

        _connections.RemoveWhere(c => c.IsCompleted);
        if (_connections.Count >= MostConnections)
        {
            peer.Dispose();
            return;
        }

        _connections.Add(ServeAsync(peer, cancellationToken));
    }

    private async Task ServeAsync(Socket peer, CancellationToken cancellationToken)
    {
        await Task.Yield(); // The accept loop goes on.
        string remote = "?";
        NetworkStream? stream = new(peer, ownsSocket: true);
        AuthenticatedConnection? connection = null;
        try
        {
            remote = peer.RemoteEndPoint?.ToString() ?? "?";
            peer.NoDelay = true;
            using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(HandshakeTime);
            connection = await MutualTls.AcceptAsync(stream, identity(), deadline.Token);
            if (await receiver.ServeAsync(connection.Stream, connection.AgentId, cancellationToken) is null)
            {
                (stream, connection) = (null, null); // A source of this host has it now.
            }
        }
        catch (Exception e) when (e is IOException or SocketException or UnderstudyException or OperationCanceledException)
        {
            AgentLog.PeerTurnedAway(logger, remote, e.Message);
        }
        catch (Exception e)
        {
            AgentLog.ConnectionBroke(logger, remote, e.Message, e); // This connection is over; the others go on.
        }
        finally
        {
            await (connection?.DisposeAsync() ?? ValueTask.CompletedTask);
            await (stream?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
    }
}
