namespace Understudy.Protection.Ports;

/// <summary>UNIX sockets of this host, as streams.</summary>
public interface ILocalSockets
{
    /// <summary>Listens for this user only. A socket file left behind by an earlier process is replaced.</summary>
    ValueTask<ILocalListener> ListenAsync(string path, CancellationToken cancellationToken);

    /// <summary>Throws <see cref="Blocks.FaultKind.Io"/> when nobody listens there.</summary>
    ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken);
}

/// <summary>Disposing stops listening and removes the socket file; accepted connections live on.</summary>
public interface ILocalListener : IAsyncDisposable
{
    ValueTask<Stream> AcceptAsync(CancellationToken cancellationToken);
}
