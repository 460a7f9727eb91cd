using System.Net.Sockets;
using System.Text;
using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Qemu;

/// <summary>UNIX sockets of this host.</summary>
public sealed class LocalSockets : ILocalSockets
{
    /// <summary>The kernel's field holds 108 bytes with its closing zero.</summary>
    private const int LongestPathBytes = 107;

    private const int Backlog = 64;

    public ValueTask<ILocalListener> ListenAsync(string path, CancellationToken cancellationToken)
    {
        RequireShort(path);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!); // Not null: an absolute path of a file.
        File.Delete(path);
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen(Backlog);
            return new(new Listener(socket, path));
        }
        catch (SocketException refused)
        {
            socket.Dispose();
            throw new UnderstudyException(FaultClass.NeedsOperator, $"Cannot listen on {path}: {refused.Message}", "Check the folder and its permissions.", refused);
        }
    }

    public async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException refused)
        {
            socket.Dispose();
            throw new StorageException(FaultKind.Io, path, $"nobody answers on this socket ({refused.Message})", inner: refused);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    internal static void RequireShort(string path)
    {
        if (!Path.IsPathRooted(path) || Encoding.UTF8.GetByteCount(path) > LongestPathBytes)
        {
            throw new UnderstudyException(
                FaultClass.NeedsOperator,
                $"'{path}' cannot be the path of a UNIX socket: it must be absolute and at most {LongestPathBytes} bytes long.",
                "Choose a shorter runtime folder, such as /run/understudy.");
        }
    }

    private sealed class Listener(Socket socket, string path) : ILocalListener
    {
        public async ValueTask<Stream> AcceptAsync(CancellationToken cancellationToken) =>
            new NetworkStream(await socket.AcceptAsync(cancellationToken), ownsSocket: true);

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            if (Directory.Exists(Path.GetDirectoryName(path)))
            {
                File.Delete(path);
            }

            return default;
        }
    }
}
