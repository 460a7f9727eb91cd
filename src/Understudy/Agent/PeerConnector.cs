using System.Net.Sockets;
using Understudy.Blocks;
using Understudy.Protection.Source;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>Dials the target's agent and proves both ends (TLS 1.3, both certificates).</summary>
internal sealed class PeerConnector(string endpoint, Guid target, Func<TlsIdentity> identity) : IPeerConnector
{
    /// <summary>A host that drops packets answers nobody, and five seconds are far beyond any round trip. An attempt that begins
    /// just before a link heals, with a probe's pause after it, stays within the ten seconds of a source that was cut off.</summary>
    private static readonly TimeSpan ConnectTime = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan ProbeTime = TimeSpan.FromSeconds(2);

    public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        (string name, int port) = Split(endpoint);
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ConnectTime);
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(name, port, deadline.Token);
            AuthenticatedConnection connection = await MutualTls.ConnectAsync(
                new NetworkStream(socket, ownsSocket: true), identity(), target, deadline.Token);
            return connection.Stream;
        }
        catch (Exception e) when (e is SocketException or IOException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            socket.Dispose();
            throw new UnderstudyException(
                FaultClass.Transient,
                $"the target's agent at {endpoint} cannot be reached: {(e is OperationCanceledException ? $"no answer within {ConnectTime.TotalSeconds:0} s" : e.Message)}",
                "See that the agent runs there and that the port is open from this host.",
                e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Whether the port opens; what answers there is proved when it is used.</summary>
    public async ValueTask<bool> ProbeAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ProbeTime);
        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            (string name, int port) = Split(endpoint);
            await socket.ConnectAsync(name, port, deadline.Token);
            return true;
        }
        catch (Exception e) when (e is SocketException or UnderstudyException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private static (string Name, int Port) Split(string endpoint)
    {
        int colon = endpoint.LastIndexOf(':');
        return colon > 0 && int.TryParse(endpoint.AsSpan(colon + 1), out int port) && port is > 0 and <= 65535
            ? (endpoint[..colon].Trim('[', ']'), port)
            : throw new UnderstudyException(FaultClass.NeedsOperator, $"'{endpoint}' is not NAME:PORT", "Join the target's host again with --advertise NAME:PORT.");
    }
}
