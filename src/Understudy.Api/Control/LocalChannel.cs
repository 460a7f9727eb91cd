using System.Net.WebSockets;
using System.Text;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>
/// The control channel over a UNIX socket of the host, for the time without a vault (FO-8): a line each way with the
/// protocol's name, then the same messages in WebSocket frames. Who may open the socket may do everything, so the file is
/// root's alone.
/// </summary>
public static class LocalChannel
{
    /// <summary>In the agent's run folder.</summary>
    public const string SocketName = "agent.sock";

    private const int MaxLineBytes = 64;
    private const string Line = ControlLimits.Subprotocol + "\n";

    /// <summary>The agent's end.</summary>
    /// <exception cref="ErrorException">The other end speaks another version, or something else.</exception>
    public static Task<WebSocket> AcceptAsync(Stream stream, CancellationToken cancellationToken) => OpenAsync(stream, isServer: true, cancellationToken);

    /// <inheritdoc cref="AcceptAsync"/>
    public static Task<WebSocket> ConnectAsync(Stream stream, CancellationToken cancellationToken) => OpenAsync(stream, isServer: false, cancellationToken);

    private static async Task<WebSocket> OpenAsync(Stream stream, bool isServer, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Line), cancellationToken);
        string theirs = await ReadLineAsync(stream, cancellationToken);
        return theirs == Line
            ? WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = isServer, KeepAliveInterval = TimeSpan.Zero })
            : throw new ErrorException(Errors.VersionMismatch(isServer ? "the command line" : "the agent", theirs.TrimEnd(), ControlLimits.Subprotocol));
    }

    /// <summary>Byte by byte: what follows the line belongs to the WebSocket.</summary>
    private static async Task<string> ReadLineAsync(Stream stream, CancellationToken cancellationToken)
    {
        byte[] line = new byte[MaxLineBytes];
        int length = 0;
        do
        {
            if (await stream.ReadAsync(line.AsMemory(length, 1), cancellationToken) == 0)
            {
                break;
            }
        }
        while (line[length++] != '\n' && length < line.Length);
        return Encoding.ASCII.GetString(line, 0, length);
    }
}
