using System.Net.Sockets;
using System.Net.WebSockets;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Ports;

namespace Understudy.Agent.Local;

/// <summary>
/// Takes the host's own command line in (FO-8): the same requests as the vault's, with the same operation ids and
/// outcomes, on a UNIX socket that only root can open. More than <see cref="MostConnections"/> at a time are turned away.
/// </summary>
internal sealed class LocalListener(string path, ILocalSockets sockets, IControlHandler handler, TimeProvider time, ILogger logger)
{
    /// <summary>People at keyboards, and a script.</summary>
    public const int MostConnections = 32;

    private static readonly TimeSpan GreetingTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly HashSet<Task> _connections = []; // touched by RunAsync only

    /// <summary>Runs until the token ends it, and then until every connection has let go.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using ILocalListener listener = await sockets.ListenAsync(path, cancellationToken);
        try
        {
            while (true)
            {
                if (await AcceptAsync(listener, cancellationToken) is not { } stream)
                {
                    continue;
                }

                _connections.RemoveWhere(c => c.IsCompleted);
                if (_connections.Count >= MostConnections)
                {
                    await stream.DisposeAsync();
                    continue;
                }

                _connections.Add(ServeAsync(stream, cancellationToken));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The way to stop.
        }

        await Task.WhenAll(_connections);
    }

    private async Task<Stream?> AcceptAsync(ILocalListener listener, CancellationToken cancellationToken)
    {
        try
        {
            return await listener.AcceptAsync(cancellationToken);
        }
        catch (SocketException e)
        {
            AgentLog.CannotAccept(logger, e.Message);
            await Task.Delay(AcceptPause, time, cancellationToken);
            return null;
        }
    }

    private async Task ServeAsync(Stream stream, CancellationToken cancellationToken)
    {
        await Task.Yield(); // The accept loop goes on.
        try
        {
            await using Stream owned = stream;
            using CancellationTokenSource limit = new(GreetingTime, time);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            using WebSocket socket = await LocalChannel.AcceptAsync(stream, either.Token);
            using ControlConnection connection = new(socket, handler, time, logger);
            await connection.RunAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException or SocketException or WebSocketException or ErrorException or UnderstudyException or OperationCanceledException)
        {
            AgentLog.PeerTurnedAway(logger, path, e.Message);
        }
        catch (Exception e)
        {
            AgentLog.ConnectionBroke(logger, path, e.Message, e); // This connection is over; the others go on.
        }
    }
}
