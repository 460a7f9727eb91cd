using Understudy.Blocks;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

/// <summary>
/// The receiver's I/O: frames from a stream, frames to it, and the waits between. One caller. At most one read is under
/// way; it outlives the calls that give up waiting for it, because a read that has begun cannot be taken back.
/// </summary>
internal sealed class ReceiverChannel(Stream stream, TimeProvider time) : IAsyncDisposable
{
    private readonly FrameParser _parser = new();
    private readonly CancellationTokenSource _closing = new();
    private ParseResult _next = ParseResult.NeedMore.Instance;
    private Task<int>? _reading;
    private bool _ended;

    public bool AcceptRecords
    {
        set => _parser.AcceptRecords = value;
    }

    /// <summary>Nothing was read beyond the frames that were taken: the stream may go on in other hands.</summary>
    public bool IsBetweenFrames => _next is ParseResult.NeedMore && _reading is null && _parser.IsEmpty && !_ended;

    /// <summary>The next frame; <see cref="ParseResult.NeedMore"/> stands for the end of the stream.</summary>
    public async ValueTask<ParseResult> ReadAsync(CancellationToken cancellationToken)
    {
        while (!TryParse())
        {
            await ReadMoreAsync(cancellationToken);
        }

        return Take();
    }

    /// <summary>
    /// Waits for the next frame or the end. False when <paramref name="watchForPause"/> and the source has paused: then
    /// flush and call again. Throws a refusal when nothing was heard for too long.
    /// </summary>
    public async ValueTask<bool> WaitForFrameAsync(bool watchForPause, CancellationToken cancellationToken)
    {
        long began = time.GetTimestamp();
        while (!TryParse())
        {
            _reading ??= stream.ReadAsync(_parser.GetFreeSpace(), _closing.Token).AsTask();
            if (!_reading.IsCompleted)
            {
                TimeSpan left = ProtocolLimits.SilenceLimit - time.GetElapsedTime(began);
                TimeSpan patience = watchForPause ? ProtocolLimits.FlushAfterPause : left;
                try
                {
                    await _reading.WaitAsync(patience > TimeSpan.Zero ? patience : TimeSpan.Zero, time, cancellationToken);
                }
                catch (TimeoutException) when (watchForPause)
                {
                    return false;
                }
                catch (TimeoutException)
                {
                    throw new RefusedException(
                        new Refusal(
                            RefusalCode.Silence,
                            FaultClass.Transient,
                            $"nothing was heard for {ProtocolLimits.SilenceLimit.TotalSeconds:0} s",
                            "Connect again."),
                        byPeer: false);
                }
            }

            await ReadMoreAsync(cancellationToken);
            began = time.GetTimestamp();
        }

        return true;
    }

    /// <summary>The frame that was waited for; records in it are valid until the next wait.</summary>
    public ParseResult Take()
    {
        ParseResult taken = _next;
        _next = ParseResult.NeedMore.Instance;
        return taken;
    }

    public ValueTask WriteAsync(ControlFrame frame, CancellationToken cancellationToken) =>
        WriteAsync(ControlFrameCodec.Encode(frame), cancellationToken);

    public async ValueTask WriteAsync(byte[] bytes, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(bytes, cancellationToken);
        await stream.FlushAsync(cancellationToken);
    }

    /// <summary>Waits for work that may take long and lets the source hear a sign of life meanwhile. Returns or throws
    /// only when the work is over, because it uses the buffer and the replica until then.</summary>
    public async ValueTask<T> KeepWarmAsync<T>(Task<T> work, CancellationToken cancellationToken)
    {
        Exception? unheard = null;
        while (unheard is null)
        {
            try
            {
                return await work.WaitAsync(ProtocolLimits.HeartbeatEvery, time, CancellationToken.None);
            }
            catch (TimeoutException)
            {
                // The work may have ended between the timer and here; then its own end counts, not the timer's.
                if (work.IsCompleted)
                {
                    return await work;
                }

                unheard = await TryWriteAsync(new ControlFrame.Pong(0), cancellationToken);
            }
        }

        await work;
        throw unheard;
    }

    /// <summary>Reads and forgets until the source closes.</summary>
    public async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        byte[] nowhere = new byte[FrameParser.SmallBuffer];
        int read = 1;
        while (read > 0)
        {
            _reading ??= stream.ReadAsync(nowhere, _closing.Token).AsTask();
            read = await _reading.WaitAsync(cancellationToken);
            _reading = null;
        }
    }

    /// <summary>Ends the read under way, so that nothing touches the buffer or the stream afterwards.</summary>
    public async ValueTask DisposeAsync()
    {
        _closing.Cancel();
        try
        {
            await (_reading ?? Task.FromResult(0));
        }
        catch (Exception ended) when (ended is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Whatever it would have brought, nobody wants it any more.
        }

        _closing.Dispose();
    }

    private async ValueTask<Exception?> TryWriteAsync(ControlFrame frame, CancellationToken cancellationToken)
    {
        try
        {
            await WriteAsync(frame, cancellationToken);
            return null;
        }
        catch (Exception broken) when (broken is IOException or ObjectDisposedException or OperationCanceledException)
        {
            return broken;
        }
    }

    private bool TryParse()
    {
        if (_next is ParseResult.NeedMore && !_ended)
        {
            _next = _parser.Next();
        }

        return _ended || _next is not ParseResult.NeedMore;
    }

    private async ValueTask ReadMoreAsync(CancellationToken cancellationToken)
    {
        _reading ??= stream.ReadAsync(_parser.GetFreeSpace(), _closing.Token).AsTask();
        int read = await _reading.WaitAsync(cancellationToken);
        _reading = null;
        if (read == 0)
        {
            _ended = true;
        }

        _parser.Advance(read);
    }
}
