using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Comparing;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Sending;

/// <summary>Who is calling, for which replica, on which line.</summary>
/// <param name="Software">Version of this software, for the other side's log.</param>
public sealed record SenderIdentity(ReplicaId Replica, VmId Vm, LineId Line, string Software);

/// <summary>
/// The source's end of one connection. One caller sends records; two loops of its own read acknowledgements and keep the
/// connection warm. Anything that goes wrong ends it for good: every later call throws the first reason
/// (<see cref="RefusedException"/> or <see cref="ConnectionLostException"/>), and the caller opens a new one, which goes on
/// after the target's flushed sequence. Nothing is retried in here.
/// </summary>
public sealed partial class ReplicationSender : IAsyncDisposable
{
    /// <summary>Small records are gathered up to this size before they are written: fewer wake-ups and TLS frames.</summary>
    private const int GatherBytes = 128 * 1024;

    private readonly Stream _stream;
    private readonly FrameParser _parser;
    private readonly SendWindow _window;
    private readonly TimeProvider _time;
    private readonly TimeSpan _silenceLimit;
    private readonly AsyncGate _writing = new();
    private readonly AsyncGate _asking = new();
    private readonly SumsAwaited _sums = new();
    private readonly Pulse _changed = new();
    private readonly CancellationTokenSource _ending = new();
    private readonly byte[] _gathered = new byte[GatherBytes];
    private int _gatheredBytes;
    private long _lastHeard;
    private Exception? _reason;
    private Task _loops = Task.CompletedTask;

    private ReplicationSender(Stream stream, FrameParser parser, ControlFrame.Welcome welcome, Banner peer, TimeProvider time)
    {
        _stream = stream;
        _parser = parser;
        _time = time;
        Welcome = welcome;
        Peer = peer;
        _window = new SendWindow(Math.Min(welcome.WindowBytes, ProtocolLimits.WindowBytes), welcome.FlushedSequence);
        _silenceLimit = welcome.SilenceLimit > TimeSpan.Zero && welcome.SilenceLimit < ProtocolLimits.SilenceLimit
            ? welcome.SilenceLimit
            : ProtocolLimits.SilenceLimit;
        _lastHeard = time.GetTimestamp();
    }

    /// <summary>What the target said of itself: resume after its flushed sequence.</summary>
    public ControlFrame.Welcome Welcome { get; }

    public Banner Peer { get; }

    /// <summary>Whether <see cref="AskSumsAsync"/> may be called.</summary>
    public bool CanCompare => Welcome.Features.HasFlag(ProtocolFeatures.Comparison);

    /// <summary>Durable at the target up to here.</summary>
    public ulong AcknowledgedSequence => _window.Acknowledged;

    public long UnacknowledgedBytes => _window.UnacknowledgedBytes;

    /// <summary>Why the connection ended; null while it lives.</summary>
    public Exception? EndReason => Volatile.Read(ref _reason);

    /// <summary>Beats at every acknowledgement and at the end; for watching the connection while it is idle.</summary>
    public Pulse Changed => _changed;

    /// <summary>
    /// Banner and HELLO out, banner and WELCOME in, within <see cref="ProtocolLimits.HandshakeTime"/>. The stream belongs
    /// to the sender from here on, also when this throws.
    /// </summary>
    public static async ValueTask<ReplicationSender> ConnectAsync(
        Stream stream, SenderIdentity identity, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            using CancellationTokenSource deadline = new(ProtocolLimits.HandshakeTime, time);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
            try
            {
                return await ShakeHandsAsync(stream, identity, time, either.Token);
            }
            catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new ConnectionLostException($"no WELCOME within {ProtocolLimits.HandshakeTime.TotalSeconds:0} s");
            }
        }
        catch (Exception failure)
        {
            await stream.DisposeAsync();
            if (failure is IOException or ObjectDisposedException)
            {
                throw new ConnectionLostException($"the connection broke during the handshake: {failure.Message}", failure);
            }

            throw;
        }
    }

    /// <summary>
    /// Hands over one whole record (or several, the last of which has the sequence given). Waits while the window is
    /// full. Cancelling leaves the connection in an unknown place in the stream: dispose the sender then.
    /// </summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> record, ulong sequence, CancellationToken cancellationToken)
    {
        while (true)
        {
            long seen = _changed.Beats;
            ThrowIfEnded();
            if (_window.TryTake(sequence, record.Length))
            {
                break;
            }

            // A full window only empties by acknowledgements, and those need the records out and flushed.
            await WriteAsync(ReadOnlyMemory<byte>.Empty, push: true, cancellationToken);
            await _changed.WaitPastAsync(seen, cancellationToken);
        }

        await WriteAsync(record, push: false, cancellationToken);
    }

    /// <summary>Says that nothing follows for now, so that the target flushes and acknowledges at once.</summary>
    public ValueTask EndBatchAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded();
        return WriteAsync(ControlFrameCodec.Encode(new ControlFrame.EndOfBatch(_window.Sent)), push: true, cancellationToken);
    }

    /// <summary>Returns when everything up to the sequence is durable at the target.</summary>
    public async ValueTask WaitAcknowledgedAsync(ulong sequence, CancellationToken cancellationToken)
    {
        while (true)
        {
            long seen = _changed.Beats;
            if (AcknowledgedSequence >= sequence)
            {
                return;
            }

            ThrowIfEnded();
            await _changed.WaitPastAsync(seen, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        End(new ConnectionLostException("the connection was closed by this side"));
        await _loops;
        await _stream.DisposeAsync();
        _ending.Dispose();
    }

    /// <summary>Gathers small frames; writes what is gathered when it is full or <paramref name="push"/> says so.</summary>
    private async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, bool push, CancellationToken cancellationToken)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ending.Token);
        try
        {
            using AsyncGate.Pass pass = await _writing.EnterAsync(either.Token);
            if (_gatheredBytes + bytes.Length > GatherBytes)
            {
                await PushAsync(either.Token);
            }

            if (bytes.Length > GatherBytes)
            {
                await _stream.WriteAsync(bytes, either.Token);
            }
            else
            {
                bytes.CopyTo(_gathered.AsMemory(_gatheredBytes));
                _gatheredBytes += bytes.Length;
            }

            if (push)
            {
                await PushAsync(either.Token);
                await _stream.FlushAsync(either.Token);
            }
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException
            || (failure is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            End(new ConnectionLostException($"the connection to the target broke: {failure.Message}", failure));
            ThrowIfEnded();
        }
    }

    private async ValueTask PushAsync(CancellationToken cancellationToken)
    {
        if (_gatheredBytes > 0)
        {
            await _stream.WriteAsync(_gathered.AsMemory(0, _gatheredBytes), cancellationToken);
            _gatheredBytes = 0;
        }
    }

    private void End(Exception reason)
    {
        if (Interlocked.CompareExchange(ref _reason, reason, null) is null)
        {
            _ending.Cancel();
            _changed.Beat();
        }
    }

    private void ThrowIfEnded()
    {
        if (EndReason is { } reason)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(reason);
        }
    }
}
