namespace Understudy.Testing.Simulation.Network;

/// <summary>
/// UNIX sockets of one host: in order, without delay and without faults of their own, but ended by the kernel when either
/// process ends. A reader that waits and a writer whose peer does not read yield; nothing else does.
/// </summary>
public sealed class SimLocalSockets
{
    private readonly Dictionary<string, Listener> _listeners = new(StringComparer.Ordinal);

    /// <summary>Replaces whoever listened there before, as a process does that removes the old socket file first.</summary>
    public SimLocalListener Listen(SimProcess process, string path)
    {
        var listener = new Listener(process);
        _listeners[path] = listener;
        void Forget()
        {
            listener.Close();
            if (_listeners.GetValueOrDefault(path) == listener)
            {
                _listeners.Remove(path);
            }
        }

        process.AtEnd(_ => Forget());
        return new SimLocalListener(listener.AcceptAsync, Forget);
    }

    public bool IsListening(string path) => _listeners.ContainsKey(path);

    /// <summary>Sockets with somebody behind them, in ordinal order.</summary>
    public IReadOnlyList<string> Listening => [.. _listeners.Keys.Order(StringComparer.Ordinal)];

    /// <exception cref="IOException">Nobody listens there.</exception>
    public Stream Connect(SimProcess client, string path)
    {
        if (!_listeners.TryGetValue(path, out Listener? listener))
        {
            throw new IOException($"{path}: connection refused (simulated)");
        }

        var forth = new LocalPipe();
        var back = new LocalPipe();
        void Close()
        {
            forth.Close();
            back.Close();
        }

        client.AtEnd(_ => Close());
        listener.Process.AtEnd(_ => Close());
        listener.Offer(new LocalStream(forth, back));
        return new LocalStream(back, forth);
    }

    private sealed class Listener(SimProcess process)
    {
        private readonly Queue<Stream> _waiting = new();
        private TaskCompletionSource _arrival = new();
        private bool _closed;

        public SimProcess Process { get; } = process;

        public void Offer(Stream stream)
        {
            _waiting.Enqueue(stream);
            Wake();
        }

        public void Close()
        {
            _closed = true;
            while (_waiting.TryDequeue(out Stream? stream))
            {
                stream.Dispose();
            }

            Wake();
        }

        public async ValueTask<Stream> AcceptAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                ObjectDisposedException.ThrowIf(_closed, this);
                if (_waiting.TryDequeue(out Stream? stream))
                {
                    return stream;
                }

                await _arrival.Task.WaitAsync(cancellationToken);
            }
        }

        private void Wake()
        {
            TaskCompletionSource old = _arrival;
            _arrival = new TaskCompletionSource();
            old.TrySetResult();
        }
    }
}

/// <summary>A listening socket; disposing closes it and what waited in its backlog.</summary>
public sealed class SimLocalListener(Func<CancellationToken, ValueTask<Stream>> accept, Action close) : IDisposable
{
    private readonly Func<CancellationToken, ValueTask<Stream>> _accept = accept;
    private readonly Action _close = close;

    public ValueTask<Stream> AcceptAsync(CancellationToken cancellationToken) => _accept(cancellationToken);

    public void Dispose() => _close();
}
