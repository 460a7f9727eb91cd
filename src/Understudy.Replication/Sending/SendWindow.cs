namespace Understudy.Replication.Sending;

/// <summary>
/// What has been sent and not yet acknowledged; no I/O. The sender's writes and its read loop meet here, under the lock.
/// </summary>
internal sealed class SendWindow(long windowBytes, ulong acknowledged)
{
    /// <summary>Bounds the memory of the book-keeping when records are tiny (zeros, checkpoints).</summary>
    internal const int MaxRecords = 65_536;

    private readonly Lock _lock = new();
    private readonly Queue<(ulong Sequence, int Bytes)> _out = new();
    private long _outBytes;
    private ulong _sent = acknowledged;
    private ulong _acknowledged = acknowledged;

    public ulong Sent
    {
        get
        {
            lock (_lock)
            {
                return _sent;
            }
        }
    }

    public ulong Acknowledged
    {
        get
        {
            lock (_lock)
            {
                return _acknowledged;
            }
        }
    }

    public long UnacknowledgedBytes
    {
        get
        {
            lock (_lock)
            {
                return _outBytes;
            }
        }
    }

    /// <summary>Books the record when the window has room; a record larger than the window goes alone.</summary>
    public bool TryTake(ulong sequence, int bytes)
    {
        lock (_lock)
        {
            if (_out.Count > 0 && (_outBytes + bytes > windowBytes || _out.Count >= MaxRecords))
            {
                return false;
            }

            _out.Enqueue((sequence, bytes));
            _outBytes += bytes;
            _sent = sequence;
            return true;
        }
    }

    /// <summary>False when the acknowledgement cannot be true: it goes back, or names what was never sent.</summary>
    public bool TryAcknowledge(ulong flushedSequence)
    {
        lock (_lock)
        {
            if (flushedSequence < _acknowledged || flushedSequence > _sent)
            {
                return false;
            }

            _acknowledged = flushedSequence;
            while (_out.TryPeek(out (ulong Sequence, int Bytes) oldest) && oldest.Sequence <= flushedSequence)
            {
                _out.Dequeue();
                _outBytes -= oldest.Bytes;
            }

            return true;
        }
    }
}
