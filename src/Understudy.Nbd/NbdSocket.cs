using System.Net.Sockets;
using Understudy.Blocks;

namespace Understudy.Nbd;

/// <summary>Opens the connection below an <see cref="NbdClient"/>; kept apart so that the client never sees a socket.</summary>
public static class NbdSocket
{
    public static async ValueTask<Stream> ConnectUnixAsync(string path, CancellationToken cancellationToken)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw exception.SocketErrorCode switch
            {
                SocketError.AccessDenied => new StorageException(
                    FaultKind.Denied, path, "may not connect to this socket", "Check its owner, group and mode.", exception),
                SocketError.AddressNotAvailable => new StorageException(
                    FaultKind.Missing, path, "there is no such socket", inner: exception),
                _ => new StorageException(FaultKind.Io, path, $"nothing answers on this socket ({exception.Message})", inner: exception),
            };
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
