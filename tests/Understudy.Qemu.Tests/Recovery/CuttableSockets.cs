using Understudy.Protection.Ports;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>Sockets of an agent that can die: after <see cref="Cut"/> every connection and listener is closed at once,
/// the socket file stays, and nothing works any more, as after kill -9.</summary>
internal sealed class CuttableSockets : ILocalSockets
{
    private readonly LocalSockets _inner = new();
    private readonly List<IAsyncDisposable> _open = [];
    private readonly Lock _lock = new();
    private bool _cut;

    public void Cut()
    {
        lock (_lock)
        {
            _cut = true;
            foreach (IAsyncDisposable open in _open)
            {
                open.DisposeAsync().AsTask().Wait();
            }
        }
    }

    public async ValueTask<ILocalListener> ListenAsync(string path, CancellationToken cancellationToken) =>
        new Listener(this, Keep(await _inner.ListenAsync(path, cancellationToken)));

    public async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken) =>
        Keep(await _inner.ConnectAsync(path, cancellationToken));

    private T Keep<T>(T opened)
        where T : IAsyncDisposable
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_cut, this);
            _open.Add(opened);
            return opened;
        }
    }

    private sealed class Listener(CuttableSockets owner, ILocalListener inner) : ILocalListener
    {
        public async ValueTask<Stream> AcceptAsync(CancellationToken cancellationToken) => owner.Keep(await inner.AcceptAsync(cancellationToken));

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
