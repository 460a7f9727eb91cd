using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Understudy.Tests.Agent;

/// <summary>An HTTP proxy that knows CONNECT and nothing else, as a site's firewall would have it; or one that lets nobody through.</summary>
internal sealed class ConnectProxy : IAsyncDisposable
{
    private const int MaxHead = 8192;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly bool _refuses;
    private readonly Task _running;
    private int _tunnels;

    public ConnectProxy(bool refuses = false)
    {
        _refuses = refuses;
        _listener.Start();
        _running = RunAsync();
    }

    public string Url => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>How many connections went through.</summary>
    public int Tunnels => Volatile.Read(ref _tunnels);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _running;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        List<Task> served = [];
        try
        {
            while (true)
            {
                served.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(served);
        }
    }

    private async Task ServeAsync(TcpClient accepted)
    {
        using TcpClient client = accepted;
        using TcpClient server = new();
        try
        {
            NetworkStream near = client.GetStream();
            string[] words = (await ReadHeadAsync(near)).Split(' ');
            if (_refuses || words is not ["CONNECT", var authority, ..])
            {
                await near.WriteAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), _stop.Token);
                return;
            }

            int colon = authority.LastIndexOf(':');
            await server.ConnectAsync(authority[..colon], int.Parse(authority[(colon + 1)..], System.Globalization.CultureInfo.InvariantCulture), _stop.Token);
            await near.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), _stop.Token);
            Interlocked.Increment(ref _tunnels);
            NetworkStream far = server.GetStream();
            await Task.WhenAny(near.CopyToAsync(far, _stop.Token), far.CopyToAsync(near, _stop.Token));
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // One end has gone, and the other goes with it.
        }
    }

    private async Task<string> ReadHeadAsync(NetworkStream stream)
    {
        StringBuilder head = new();
        byte[] one = new byte[1];
        while (head.Length < MaxHead && !head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await stream.ReadExactlyAsync(one, _stop.Token);
            head.Append((char)one[0]);
        }

        return head.ToString();
    }
}
