using System.Net.Sockets;
using Understudy.Api.Dialling;
using Understudy.Blocks;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>Dials other agents and proves both ends (TLS 1.3, both certificates), by the agent's proxy where it has one.</summary>
internal sealed class PeerDialler(AgentSettings settings, Func<TlsIdentity> identity)
{
    /// <summary>A host that drops packets answers nobody, and five seconds are far beyond any round trip. An attempt that begins
    /// just before a link heals, with a probe's pause after it, stays within the ten seconds of a source that was cut off.</summary>
    private static readonly TimeSpan ConnectTime = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan ProbeTime = TimeSpan.FromSeconds(2);

    public async ValueTask<Stream> ConnectAsync(string endpoint, Guid peer, CancellationToken cancellationToken)
    {
        (string name, int port) = Split(endpoint);
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ConnectTime);
        try
        {
            Stream plain = await Dialler.ConnectAsync(name, port, settings.PeerDials, deadline.Token);
            return (await MutualTls.ConnectAsync(plain, identity(), peer, deadline.Token)).Stream;
        }
        catch (Exception e) when (e is SocketException or IOException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new UnderstudyException(
                FaultClass.Transient,
                $"the agent at {endpoint} cannot be reached: {(e is OperationCanceledException ? $"no answer within {ConnectTime.TotalSeconds:0} s" : e.Message)}",
                "See that the agent runs there and that the port is open from this host.",
                e);
        }
    }

    /// <summary>Whether the port opens; what answers there is proved when it is used.</summary>
    public async ValueTask<bool> ProbeAsync(string endpoint, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ProbeTime);
        try
        {
            (string name, int port) = Split(endpoint);
            await using Stream stream = await Dialler.ConnectAsync(name, port, settings.PeerDials, deadline.Token);
            return true;
        }
        catch (Exception e) when (e is SocketException or IOException or UnderstudyException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private static (string Name, int Port) Split(string endpoint)
    {
        int colon = endpoint.LastIndexOf(':');
        return colon > 0 && int.TryParse(endpoint.AsSpan(colon + 1), out int port) && port is > 0 and <= 65535
            ? (endpoint[..colon].Trim('[', ']'), port)
            : throw new UnderstudyException(FaultClass.NeedsOperator, $"'{endpoint}' is not NAME:PORT", "Join that host again with --advertise NAME:PORT.");
    }
}
