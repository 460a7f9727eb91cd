namespace Understudy.Testing.Simulation.Network;

/// <summary>
/// One direction of a connection. Bytes travel in pieces of random size, in order, and wait for the reader; on the way
/// and waiting together they are bounded, so a reader that does not read stops the writer.
/// </summary>
internal sealed class SimPipe
{
    private readonly SimNetwork _network;
    private readonly SimHost _from;
    private readonly SimHost _to;
    private readonly int _capacityBytes;
    private readonly SimRandom _random;
    private readonly Queue<Action> _onTheWay = new();
    private readonly Queue<byte[]> _received = new();
    private TaskCompletionSource _readable = new();
    private TaskCompletionSource _writable = new();
    private int _headTakenBytes;
    private int _bufferedBytes;
    private long _lastDueTicks;
    private bool _ended;
    private bool _broken;

    public SimPipe(SimNetwork network, SimHost from, SimHost to, SimRandom random)
    {
        _network = network;
        _from = from;
        _to = to;
        _random = random;
        _capacityBytes = random.Between(4, 256) * 1024;
    }

    /// <summary>Data came to a machine where nobody has this connection open.</summary>
    public Action? OnUnwanted { get; set; }

    /// <summary>True once the writer has closed its end in order.</summary>
    public bool IsEnding { get; private set; }

    /// <summary>True once the reader's end is closed or its process gone.</summary>
    public bool ReaderGone { get; set; }

    /// <summary>Returns when the last byte is in a buffer, which says nothing about the other side, as with a socket.</summary>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_broken)
            {
                throw new IOException("connection reset (simulated)");
            }

            int count = Math.Min(data.Length, _capacityBytes - _bufferedBytes);
            Send(data.Span[..count]);
            data = data[count..];
            if (data.IsEmpty)
            {
                return;
            }

            await _writable.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Some of what has arrived; 0 after the writer has closed its end.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_received.TryPeek(out byte[]? head))
            {
                return Take(head, buffer.Span);
            }

            if (_broken)
            {
                throw new IOException("connection reset (simulated)");
            }

            if (_ended)
            {
                return 0;
            }

            await _readable.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>The writer closes in order: the reader gets what was sent, then the end.</summary>
    public void End()
    {
        IsEnding = true;
        Travel(() =>
        {
            _ended = true;
            Wake(ref _readable);
        });
    }

    /// <summary>Something other than data that travels behind the data sent so far.</summary>
    public void Signal(Action arrival) => Travel(arrival);

    /// <summary>The connection is cut here and now, somewhere in the middle of what is on the way.</summary>
    public void Break()
    {
        for (int left = _random.Next(_onTheWay.Count + 1); left > 0 && !_broken; left--)
        {
            _onTheWay.Dequeue()();
        }

        _broken = true;
        _onTheWay.Clear();
        if (_random.Chance(0.5))
        {
            _received.Clear();
        }

        Wake(ref _writable);
        Wake(ref _readable);
    }

    private static void Wake(ref TaskCompletionSource waiter)
    {
        TaskCompletionSource old = waiter;
        waiter = new();
        old.TrySetResult();
    }

    private void Send(ReadOnlySpan<byte> data)
    {
        _bufferedBytes += data.Length;
        while (!data.IsEmpty)
        {
            int count = _random.Chance(0.25) ? _random.Between(1, data.Length) : data.Length;
            byte[] piece = data[..count].ToArray();
            data = data[count..];
            Travel(() => Arrive(piece));
        }
    }

    private void Arrive(byte[] piece)
    {
        if (ReaderGone)
        {
            OnUnwanted?.Invoke();
            return;
        }

        _network.Carried(piece.Length);
        _received.Enqueue(piece);
        Wake(ref _readable);
    }

    /// <summary>In order, after the link's delay; held while the link is stalled.</summary>
    private void Travel(Action arrival)
    {
        if (_broken)
        {
            return;
        }

        _onTheWay.Enqueue(arrival);
        _lastDueTicks = Math.Max(_lastDueTicks, _network.ArrivalTicks(_from, _to));
        _network.At(_lastDueTicks, DeliverNext);
    }

    private void DeliverNext()
    {
        long until = _network.StalledUntilTicks(_from, _to);
        if (until > _network.Simulator.NowTicks)
        {
            _network.At(until, DeliverNext);
        }
        else if (_onTheWay.TryDequeue(out Action? arrival))
        {
            arrival();
        }
    }

    private int Take(byte[] head, Span<byte> buffer)
    {
        int count = Math.Min(head.Length - _headTakenBytes, buffer.Length);
        head.AsSpan(_headTakenBytes, count).CopyTo(buffer);
        _headTakenBytes += count;
        if (_headTakenBytes == head.Length)
        {
            _received.Dequeue();
            _headTakenBytes = 0;
        }

        _bufferedBytes -= count;
        Wake(ref _writable);
        return count;
    }
}
