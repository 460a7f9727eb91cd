using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>One source's way to its target's agent.</summary>
internal sealed class PeerConnector(string endpoint, Guid target, PeerDialler dialler) : IPeerConnector
{
    public ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken) => dialler.ConnectAsync(endpoint, target, cancellationToken);

    public ValueTask<bool> ProbeAsync(CancellationToken cancellationToken) => dialler.ProbeAsync(endpoint, cancellationToken);
}
