namespace Understudy.Testing.Simulation.Network;

/// <summary>One direction of a local connection.</summary>
internal sealed class LocalPipe
{
    /// <summary>What a socket's buffers hold; a writer of more waits for its reader.</summary>
    private const int CapacityBytes = 256 * 1024;

    private readonly Queue<byte[]> _waiting = new();
    private int _headTakenBytes;
    private int _waitingBytes;
    private bool _closed;
    private TaskCompletionSource? _reader;
    private TaskCompletionSource? _writer;

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_closed)
            {
                throw new IOException("broken pipe (simulated)");
            }

            int count = Math.Min(data.Length, CapacityBytes - _waitingBytes);
            if (count > 0)
            {
                _waiting.Enqueue(data[..count].ToArray());
                _waitingBytes += count;
                Wake(ref _reader);
                data = data[count..];
            }

            if (data.IsEmpty)
            {
                return;
            }

            await (_writer ??= new TaskCompletionSource()).Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>0 at the end.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_waiting.TryPeek(out byte[]? head))
            {
                return Take(head, buffer.Span);
            }

            if (_closed || buffer.IsEmpty)
            {
                return 0;
            }

            await (_reader ??= new TaskCompletionSource()).Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Either end is gone: what was written can still be read, nothing more can be written.</summary>
    public void Close()
    {
        _closed = true;
        Wake(ref _reader);
        Wake(ref _writer);
    }

    private static void Wake(ref TaskCompletionSource? waiter)
    {
        TaskCompletionSource? old = waiter;
        waiter = null;
        old?.TrySetResult();
    }

    private int Take(byte[] head, Span<byte> buffer)
    {
        int count = Math.Min(head.Length - _headTakenBytes, buffer.Length);
        head.AsSpan(_headTakenBytes, count).CopyTo(buffer);
        _headTakenBytes += count;
        if (_headTakenBytes == head.Length)
        {
            _waiting.Dequeue();
            _headTakenBytes = 0;
        }

        _waitingBytes -= count;
        Wake(ref _writer);
        return count;
    }
}

/// <summary>One end of a local connection. Only the asynchronous calls exist: a blocking one would stop the world.</summary>
internal sealed class LocalStream(LocalPipe incoming, LocalPipe outgoing) : Stream
{
    private readonly LocalPipe _incoming = incoming;
    private readonly LocalPipe _outgoing = outgoing;
    private bool _disposed;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _incoming.ReadAsync(buffer, cancellationToken);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _outgoing.WriteAsync(buffer, cancellationToken);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush() => throw Blocking();

    public override int Read(byte[] buffer, int offset, int count) => throw Blocking();

    public override void Write(byte[] buffer, int offset, int count) => throw Blocking();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            _incoming.Close();
            _outgoing.Close();
        }

        base.Dispose(disposing);
    }

    private static SimulationException Blocking() => new("a blocking call on a simulated connection");
}
