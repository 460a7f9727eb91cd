using Understudy.Blocks;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Sending;

public sealed partial class ReplicationSender
{
    private ReplicationSender StartLoops()
    {
        _loops = Task.WhenAll(ReadLoopAsync(), HeartbeatLoopAsync());
        return this;
    }

    private async Task ReadLoopAsync()
    {
        try
        {
            while (true)
            {
                ParseResult result = _parser.Next();
                if (result is ParseResult.NeedMore)
                {
                    int read = await _stream.ReadAsync(_parser.GetFreeSpace(), _ending.Token);
                    if (read == 0)
                    {
                        End(new ConnectionLostException("the target closed the connection"));
                        return;
                    }

                    _parser.Advance(read);
                    Volatile.Write(ref _lastHeard, _time.GetTimestamp());
                    continue;
                }

                if (Judge(result) is { } reason)
                {
                    End(reason);
                    return;
                }
            }
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException or ObjectDisposedException)
        {
            End(new ConnectionLostException($"the connection to the target broke: {failure.Message}", failure));
        }
    }

    /// <summary>Null to go on, or why not.</summary>
    private RefusedException? Judge(ParseResult result)
    {
        switch (result)
        {
            case ParseResult.Control { Frame: ControlFrame.Ack ack }:
                if (!_window.TryAcknowledge(ack.FlushedSequence))
                {
                    return new RefusedException(
                        Refusal.Malformed($"the target acknowledged {ack.FlushedSequence}, but {_window.Sent} is the last one sent"),
                        byPeer: false);
                }

                _changed.Beat();
                return null;
            case ParseResult.Control { Frame: ControlFrame.Pong }:
                return null;
            case ParseResult.Control { Frame: ControlFrame.Sums sums }:
                if (!_sums.TryTake(sums))
                {
                    return new RefusedException(Refusal.Malformed("the target told sums that nobody had asked for"), byPeer: false);
                }

                _changed.Beat();
                return null;
            case ParseResult.Control { Frame: ControlFrame.Refuse refuse }:
                return new RefusedException(refuse.Refusal, byPeer: true);
            case ParseResult.Broken broken:
                return new RefusedException(Refusal.Malformed(broken.What), byPeer: false);
            default:
                return new RefusedException(Refusal.Malformed($"{Describe(result)} is not for a source to receive"), byPeer: false);
        }
    }

    private async Task HeartbeatLoopAsync()
    {
        ulong nonce = 0;
        TimeSpan every = _silenceLimit / 3;
        Task ping = Task.CompletedTask;
        try
        {
            while (_time.GetElapsedTime(Volatile.Read(ref _lastHeard)) <= _silenceLimit)
            {
                // Not awaited: behind a write that the network does not take, the ping waits too, and this loop is what
                // ends such a connection.
                if (ping.IsCompletedSuccessfully)
                {
                    ping = WriteAsync(ControlFrameCodec.Encode(new ControlFrame.Ping(++nonce)), push: true, _ending.Token).AsTask();
                }

                await Task.Delay(every, _time, _ending.Token);
            }

            End(new ConnectionLostException($"nothing was heard from the target for {_silenceLimit.TotalSeconds:0} s"));
            await ping;
        }
        catch (Exception failure) when (failure is UnderstudyException or OperationCanceledException)
        {
            End(failure); // Keeps the first reason when there is one.
        }
    }
}
