using System.Net.Sockets;
using Understudy.Blocks;

namespace Understudy.Nbd;

/// <summary>
/// A UNIX socket that an <see cref="NbdServer"/> answers. Thin on purpose: real sockets are outside the simulation.
/// The mode is set between bind and listen, so that nobody can connect before it holds; who may reach the socket at all
/// is up to the folder it is in.
/// </summary>
public sealed class NbdListener : IAsyncDisposable
{
    private const int Backlog = 64;

    private readonly Socket _socket;
    private readonly string _path;

    private NbdListener(Socket socket, string path)
    {
        _socket = socket;
        _path = path;
    }

    /// <summary>Replaces the socket that a dead server left behind; refuses to replace one that answers.</summary>
    public static async ValueTask<NbdListener> BindAsync(string path, UnixFileMode mode, CancellationToken cancellationToken)
    {
        if (File.Exists(path))
        {
            await ThrowIfServedAsync(path, cancellationToken);
            File.Delete(path);
        }

        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, mode);
            socket.Listen(Backlog);
            return new NbdListener(socket, path);
        }
        catch (Exception exception) when (NbdFault.IsConnectionFault(exception) || exception is UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new StorageException(FaultKind.Denied, path, $"cannot listen on this socket ({exception.Message})", inner: exception);
        }
    }

    /// <summary>Accepts and serves until cancelled; returns when the last connection has ended.</summary>
    public async Task RunAsync(NbdServer server, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        List<Task> connections = [];
        try
        {
            while (true)
            {
                connections.RemoveAll(static connection => connection.IsCompletedSuccessfully);
                if (connections.Find(static connection => connection.IsFaulted) is { } broken)
                {
                    await broken; // Not a peer's fault, those end quietly: a bug, and the owner hears it.
                }

                if (connections.Count >= server.Options.MaxConnections)
                {
                    await await Task.WhenAny(connections);
                    continue;
                }

                Socket accepted = await _socket.AcceptAsync(stop.Token);
                connections.Add(server.ServeAsync(new NetworkStream(accepted, ownsSocket: true), stop.Token));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop.
        }
        finally
        {
            stop.Cancel();
            await Task.WhenAll(connections);
        }
    }

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        File.Delete(_path);
        return ValueTask.CompletedTask;
    }

    private static async ValueTask ThrowIfServedAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            await using Stream answering = await NbdSocket.ConnectUnixAsync(path, cancellationToken);
        }
        catch (StorageException fault) when (fault.Kind == FaultKind.Io)
        {
            return; // Nobody answers: left behind.
        }

        throw new StorageException(FaultKind.Exists, path, "another process serves this socket");
    }
}
