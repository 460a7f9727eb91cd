using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Understudy.Api.Dialling;

/// <summary>
/// The one way by which an agent dials, be it the vault or another agent: straight, or through its HTTP CONNECT proxy (REG-3).
/// What comes back is a stream to the other end's port, TLS not yet begun.
/// </summary>
public static class Dialler
{
    /// <summary>A proxy's answer has a status line and some headers; more is no answer.</summary>
    private const int MaxAnswerBytes = 16 * 1024;

    /// <param name="host">A name or an address, without brackets.</param>
    /// <exception cref="SocketException">Nothing answers there.</exception>
    /// <exception cref="IOException">The proxy says no, or is none.</exception>
    public static async ValueTask<Stream> ConnectAsync(string host, int port, ProxyChoice choice, CancellationToken cancellationToken)
    {
        if (choice.For(host) is not { } proxy)
        {
            return await OpenAsync(host, port, cancellationToken);
        }

        Stream stream = await OpenAsync(proxy.Host.Trim('[', ']'), proxy.Port, cancellationToken);
        try
        {
            if (proxy.Scheme == Uri.UriSchemeHttps)
            {
                SslStream secured = new(stream);
                stream = secured;
                await secured.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = proxy.Host }, cancellationToken);
            }

            await AskAsync(stream, Authority(host, port), proxy, cancellationToken);
            return stream;
        }
        catch (Exception failure)
        {
            await stream.DisposeAsync();
            if (failure is System.Security.Authentication.AuthenticationException)
            {
                throw new IOException($"the proxy {Name(proxy)} has no good certificate: {failure.Message}", failure);
            }

            throw;
        }
    }

    private static async ValueTask<Stream> OpenAsync(string host, int port, CancellationToken cancellationToken)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(host, port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async ValueTask AskAsync(Stream stream, string authority, Uri proxy, CancellationToken cancellationToken)
    {
        StringBuilder request = new();
        request.Append(CultureInfo.InvariantCulture, $"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if (proxy.UserInfo.Length > 0)
        {
            string credentials = Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(proxy.UserInfo)));
            request.Append(CultureInfo.InvariantCulture, $"Proxy-Authorization: Basic {credentials}\r\n");
        }

        await stream.WriteAsync(Encoding.ASCII.GetBytes(request.Append("\r\n").ToString()), cancellationToken);
        await stream.FlushAsync(cancellationToken);
        byte[] answer = await HearAsync(stream, proxy, cancellationToken);
        if (StatusOf(answer) is not (>= 200 and < 300))
        {
            string line = Encoding.ASCII.GetString(answer.AsSpan(0, Math.Max(0, answer.AsSpan().IndexOf((byte)'\r')))).Trim();
            throw new IOException($"the proxy {Name(proxy)} does not connect to {authority}: {(line.Length == 0 ? "it is no HTTP proxy" : line)}");
        }
    }

    /// <summary>Byte by byte up to the empty line: what follows belongs to whoever gets the stream.</summary>
    private static async ValueTask<byte[]> HearAsync(Stream stream, Uri proxy, CancellationToken cancellationToken)
    {
        byte[] answer = new byte[MaxAnswerBytes];
        for (int length = 0; length < answer.Length;)
        {
            int read = await stream.ReadAsync(answer.AsMemory(length, 1), cancellationToken);
            if (read == 0)
            {
                throw new IOException($"the proxy {Name(proxy)} closed the connection instead of answering");
            }

            length++;
            if (answer.AsSpan(0, length).EndsWith("\r\n\r\n"u8))
            {
                return answer[..length];
            }
        }

        throw new IOException($"the proxy {Name(proxy)} does not answer as an HTTP proxy does");
    }

    /// <summary>Null when it is no status line of HTTP/1.</summary>
    private static int? StatusOf(ReadOnlySpan<byte> answer) =>
        answer.Length > 12 && answer.StartsWith("HTTP/1."u8) && answer[8] == (byte)' ' && Utf8Parser.TryParse(answer.Slice(9, 3), out int status, out int used) && used == 3
            ? status
            : null;

    private static string Authority(string host, int port) =>
        IPAddress.TryParse(host, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{host}]:{port}" : $"{host}:{port}";

    /// <summary>Without what is secret in it.</summary>
    private static string Name(Uri proxy) => $"{proxy.Scheme}://{proxy.Host}:{proxy.Port}";
}
