using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Nbd;
using Understudy.Nbd.Tests.Peers;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>Sockets of the host: daemons answer on theirs, the agent on those it listens on.</summary>
internal sealed class ModelSockets(ModelHost host) : ILocalSockets
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Channel<Stream>> _listeners = [];
    private readonly List<Served> _served = [];

    public ValueTask<ILocalListener> ListenAsync(string path, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Channel<Stream> accepting = Channel.CreateBounded<Stream>(64);
            _listeners[path] = accepting;
            return new(new Listener(this, path, accepting));
        }
    }

    public async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        (StreamPair ours, StreamPair theirs) = StreamPair.Create();
        if (host.DaemonAt(path) is { } daemon)
        {
            Serve(path, theirs, new ModelExports(host, this, daemon));
            return ours;
        }

        Channel<Stream>? listener;
        lock (_lock)
        {
            listener = _listeners.GetValueOrDefault(path);
        }

        if (listener is null)
        {
            throw new StorageException(FaultKind.Io, path, "nobody answers on this socket");
        }

        await listener.Writer.WriteAsync(theirs, cancellationToken);
        return ours;
    }

    /// <summary>The daemon behind the socket is gone, and its connections with it.</summary>
    public async ValueTask CloseServedByAsync(string path)
    {
        Served[] ending;
        lock (_lock)
        {
            ending = [.. _served.Where(served => served.Path == path)];
            _served.RemoveAll(served => served.Path == path);
        }

        foreach (Served served in ending)
        {
            await served.Stop.CancelAsync();
            await served.Serving;
        }
    }

    /// <summary>The agent is gone, and with it its listeners.</summary>
    public void AgentDied()
    {
        lock (_lock)
        {
            _listeners.Clear();
        }
    }

    private void Serve(string path, Stream stream, ModelExports exports)
    {
        CancellationTokenSource stop = new();
        lock (_lock)
        {
            _served.Add(new Served(path, stop, ServeAsync(stream, exports, stop.Token)));
        }
    }

    private static async Task ServeAsync(Stream stream, ModelExports exports, CancellationToken cancellationToken)
    {
        await using (exports)
        {
            await new NbdServer(exports, new NbdServerOptions(), TimeProvider.System, NullLogger.Instance).ServeAsync(stream, cancellationToken);
        }
    }

    private sealed record Served(string Path, CancellationTokenSource Stop, Task Serving);

    private sealed class Listener(ModelSockets owner, string path, Channel<Stream> accepting) : ILocalListener
    {
        public ValueTask<Stream> AcceptAsync(CancellationToken cancellationToken) => accepting.Reader.ReadAsync(cancellationToken);

        public ValueTask DisposeAsync()
        {
            lock (owner._lock)
            {
                if (owner._listeners.GetValueOrDefault(path) == accepting)
                {
                    owner._listeners.Remove(path);
                }
            }

            return default;
        }
    }
}
