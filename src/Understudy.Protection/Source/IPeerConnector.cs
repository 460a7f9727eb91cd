namespace Understudy.Protection.Source;

/// <summary>The way to the target's agent.</summary>
public interface IPeerConnector
{
    /// <summary>A connection whose other end has proved by its certificate to be the target's agent; the stream is the
    /// caller's. Throws <see cref="Blocks.UnderstudyException"/>, with its class, when it cannot.</summary>
    ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Whether anything answers there, for as little as that costs (a TCP connection). Asked while a long pause is waited
    /// out: the moment the answer changes from no to yes the pause ends. A connector that cannot tell always says no.
    /// </summary>
    ValueTask<bool> ProbeAsync(CancellationToken cancellationToken) => ValueTask.FromResult(false);
}
