using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Calling;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

/// <summary>
/// The target's end: serves one connection after the other, many at once. One connection per replica: a newer one from the
/// same replica's source ends the older, which is as a rule a half-open leftover of a cut link. Connections that were dialled
/// by a target come in here too: they go to the source they call.
/// </summary>
/// <param name="sources">Who takes calls of targets; null where nobody does.</param>
public sealed partial class ReplicationReceiver(
    IReplicaDirectory directory, string software, TimeProvider time, ILogger<ReplicationReceiver> logger, ICalledSources? sources = null)
{
    /// <summary>A few of each VM that has gone elsewhere.</summary>
    private const int MostRemembered = 1000;

    private readonly Lock _lock = new();
    private readonly Dictionary<ReplicaId, Session> _sessions = [];
    private readonly HashSet<(Guid Agent, string What)> _refused = []; // guarded by _lock

    /// <summary>
    /// Serves a connection that the other side has dialled. Runs until it ends, and says why it did; null when it was a call
    /// and a source of this host has taken the stream, which is the source's from then on. Otherwise it stays the caller's.
    /// Throws only when <paramref name="cancellationToken"/> asks for the end.
    /// </summary>
    /// <param name="stream">Connected and authenticated.</param>
    /// <param name="agentId">The peer, as its certificate proves.</param>
    public Task<UnderstudyException?> ServeAsync(Stream stream, Guid agentId, CancellationToken cancellationToken) =>
        ServeAsync(stream, agentId, sources, cancellationToken);

    /// <summary>The same for a connection that this side has dialled, once its call is answered.</summary>
    internal Task<UnderstudyException?> ServeAnsweredAsync(Stream stream, Guid agentId, CancellationToken cancellationToken) =>
        ServeAsync(stream, agentId, calls: null, cancellationToken);

    private async Task<UnderstudyException?> ServeAsync(Stream stream, Guid agentId, ICalledSources? calls, CancellationToken cancellationToken)
    {
        await using ReceiverChannel channel = new(stream, time);
        try
        {
            ControlFrame first = await GreetAsync(channel, cancellationToken);
            if (first is ControlFrame.Call call && calls is not null)
            {
                await HandOverAsync(new IncomingCall(call, agentId, stream), calls, channel, cancellationToken);
                return null;
            }

            ControlFrame.Hello hello = first as ControlFrame.Hello ?? throw Unexpected(new ParseResult.Control(first), "HELLO");
            IReplicaSink sink = await FindAsync(hello, agentId, cancellationToken);
            using Session session = new(cancellationToken);
            try
            {
                await EnterAsync(hello.Replica, session);
                await StreamAsync(channel, hello, sink, session.Token);
            }
            catch (OperationCanceledException) when (session.Superseded && !cancellationToken.IsCancellationRequested)
            {
                throw new RefusedException(SupersededBy(hello), byPeer: false);
            }
            finally
            {
                Leave(hello.Replica, session);
            }

            return new ConnectionLostException("the source closed the connection");
        }
        catch (RefusedException refused) when (!refused.ByPeer)
        {
            LogRefusal(agentId, refused.Refusal);
            await SayRefusalAsync(channel, refused.Refusal, cancellationToken);
            return refused;
        }
        catch (UnderstudyException ended)
        {
            Log.Ended(logger, agentId, ended.Message);
            return ended;
        }
        catch (Exception broken) when (broken is IOException or ObjectDisposedException)
        {
            Log.Ended(logger, agentId, broken.Message);
            return new ConnectionLostException($"the connection to the source broke: {broken.Message}", broken);
        }
    }

    /// <summary>A source that is not the owner asks again every few seconds, for days: the answer is logged when it changes.</summary>
    private void LogRefusal(Guid agentId, Refusal refusal)
    {
        bool isNews;
        lock (_lock)
        {
            if (_refused.Count >= MostRemembered)
            {
                _refused.Clear(); // said once more
            }

            isNews = _refused.Add((agentId, refusal.What));
        }

        if (isNews)
        {
            Log.Refused(logger, agentId, refusal.Code, refusal.What);
        }
        else
        {
            Log.RefusedAgain(logger, agentId, refusal.Code, refusal.What);
        }
    }

    /// <summary>Banners, and the first frame: it says which end of replication the other side is.</summary>
    private async Task<ControlFrame> GreetAsync(ReceiverChannel channel, CancellationToken cancellationToken)
    {
        return await WithinAsync(async limit =>
        {
            await channel.WriteAsync(new Banner(ProtocolLimits.Version, software).Encode(), limit);
            Banner banner = await channel.ReadAsync(limit) switch
            {
                ParseResult.Greeting greeting => greeting.Banner,
                var other => throw Unexpected(other, "a banner"),
            };
            if (ReceiverCore.JudgeBanner(banner) is { } versionRefusal)
            {
                throw new RefusedException(versionRefusal, byPeer: false);
            }

            return await channel.ReadAsync(limit) switch
            {
                ParseResult.Control control => control.Frame,
                var other => throw Unexpected(other, "HELLO"),
            };
        }, cancellationToken);
    }

    private Task<IReplicaSink> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken) => WithinAsync(
        async limit => await directory.FindAsync(hello, agentId, limit) switch
        {
            DirectoryAnswer.Found found => found.Sink,
            DirectoryAnswer.Refused refused => throw new RefusedException(refused.Refusal, byPeer: false),
            _ => throw new System.Diagnostics.UnreachableException(),
        },
        cancellationToken);

    /// <summary>A part of the handshake: a peer that stays silent holds a slot briefly.</summary>
    private async Task<T> WithinAsync<T>(Func<CancellationToken, Task<T>> part, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = new(ProtocolLimits.HandshakeTime, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            return await part(either.Token);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new RefusedException(SilentFor(ProtocolLimits.HandshakeTime), byPeer: false);
        }
    }

    private async Task StreamAsync(ReceiverChannel channel, ControlFrame.Hello hello, IReplicaSink sink, CancellationToken cancellationToken)
    {
        CancellationToken lineEnds = sink.LineEnds;
        using CancellationTokenSource waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lineEnds);

        // What an earlier connection left unflushed is made durable first, so that it need not be sent again.
        ulong flushed = await StoreAsync(channel, () => sink.FlushAsync(cancellationToken), cancellationToken);
        if (ReceiverCore.JudgeHello(hello, sink.Current) is { } stale)
        {
            throw new RefusedException(stale, byPeer: false);
        }

        await channel.WriteAsync(
            new ControlFrame.Welcome(
                hello.Line, flushed, sink.LastPoint, ProtocolLimits.WindowBytes, ProtocolLimits.SilenceLimit, FeaturesFor(hello, sink)),
            cancellationToken);
        channel.AcceptRecords = true;
        Log.Welcomed(logger, hello.Vm, hello.Replica, flushed);
        lock (_lock)
        {
            _refused.Clear(); // what is refused after this is news
        }


        ReceiverCore core = new(flushed);
        while (true)
        {
            bool pauseReached;
            try
            {
                pauseReached = !await channel.WaitForFrameAsync(core.HasUnflushed, waiting.Token);
            }
            catch (OperationCanceledException) when (lineEnds.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                // A source that has nothing to send hears at once that it is no longer the owner (PRE-5).
                throw new RefusedException(ReceiverCore.JudgeHello(hello, sink.Current) ?? Refusal.Reopening(), byPeer: false);
            }

            if (pauseReached)
            {
                await FlushAsync(channel, core, hello, sink, cancellationToken);
                continue;
            }

            switch (channel.Take())
            {
                case ParseResult.Record record:
                    await AppendAsync(channel, core, hello, sink, record.Bytes, cancellationToken);
                    break;
                case ParseResult.Control { Frame: ControlFrame.EndOfBatch }:
                    await FlushAsync(channel, core, hello, sink, cancellationToken);
                    break;
                case ParseResult.Control { Frame: ControlFrame.AskSums ask }:
                    await FlushAsync(channel, core, hello, sink, cancellationToken);
                    await AnswerAsync(channel, sink, ask.Range, cancellationToken);
                    break;
                case ParseResult.Control { Frame: ControlFrame.Ping ping }:
                    await channel.WriteAsync(new ControlFrame.Pong(ping.Nonce), cancellationToken);
                    break;
                case ParseResult.Control { Frame: ControlFrame.Refuse refuse }:
                    throw new RefusedException(refuse.Refusal, byPeer: true);
                case ParseResult.NeedMore:
                    return; // The end of the stream.
                case var other:
                    throw Unexpected(other, "a record");
            }
        }
    }

    private static async Task AppendAsync(
        ReceiverChannel channel,
        ReceiverCore core,
        ControlFrame.Hello hello,
        IReplicaSink sink,
        ReadOnlyMemory<byte> record,
        CancellationToken cancellationToken)
    {
        Invariant.Check(
            RecordHeader.Read(record.Span, out RecordHeader header) == RecordDefect.None, "the parser let a damaged header through");
        AppendOutcome outcome = await StoreAsync(channel, () => sink.AppendAsync(record, cancellationToken), cancellationToken);
        if (core.Appended(outcome, header, sink.Current) is { } refusal)
        {
            throw new RefusedException(refusal, byPeer: false);
        }

        if (core.FlushIsDue)
        {
            await FlushAsync(channel, core, hello, sink, cancellationToken);
        }
    }

    private static async Task FlushAsync(
        ReceiverChannel channel, ReceiverCore core, ControlFrame.Hello hello, IReplicaSink sink, CancellationToken cancellationToken)
    {
        ulong flushed = await StoreAsync(channel, () => sink.FlushAsync(cancellationToken), cancellationToken);

        // A failover may have taken the replica over meanwhile and dropped what this source had sent.
        if (ReceiverCore.JudgeHello(hello, sink.Current) is { } stale)
        {
            throw new RefusedException(stale, byPeer: false);
        }

        if (core.Flushed(flushed) is { } ack)
        {
            await channel.WriteAsync(ack, cancellationToken);
        }
    }

    /// <summary>A call into the replica. While it takes long the source hears PONGs, so that a slow disk is not taken for
    /// a dead host; a fault of the storage becomes a refusal the source can show.</summary>
    private static async ValueTask<T> StoreAsync<T>(ReceiverChannel channel, Func<ValueTask<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            ValueTask<T> running = call();
            return running.IsCompletedSuccessfully ? running.Result : await channel.KeepWarmAsync(running.AsTask(), cancellationToken);
        }
        catch (StorageException fault)
        {
            RefusalCode code = fault.Kind == FaultKind.Full ? RefusalCode.TargetFull : RefusalCode.StorageFault;
            throw new RefusedException(
                new Refusal(code, fault.Class, fault.Message, fault.Remedy ?? "Look at the storage of the target host."), byPeer: false);
        }
    }

    /// <summary>Says it, and waits until the source has heard it and closed: closing over data that is still coming in
    /// makes TCP reset the connection and throw the refusal away.</summary>
    private async Task SayRefusalAsync(ReceiverChannel channel, Refusal refusal, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = new(ProtocolLimits.RefusalTime, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            await channel.WriteAsync(new ControlFrame.Refuse(refusal), either.Token);
            await channel.DrainAsync(either.Token);
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException or OperationCanceledException)
        {
            Log.RefusalUnheard(logger, gone.Message);
        }
    }

    private static RefusedException Unexpected(ParseResult result, string wanted) => result switch
    {
        ParseResult.Broken broken => new RefusedException(Refusal.Malformed(broken.What) with { Code = broken.Code }, byPeer: false),
        ParseResult.NeedMore => new RefusedException(Refusal.Malformed($"the connection was closed where {wanted} was expected"), byPeer: false),
        ParseResult.Control control => new RefusedException(
            Refusal.Malformed($"{control.Frame.GetType().Name} came where {wanted} was expected"), byPeer: false),
        _ => new RefusedException(Refusal.Malformed($"{result.GetType().Name} came where {wanted} was expected"), byPeer: false),
    };

    private static Refusal SilentFor(TimeSpan limit) => new(
        RefusalCode.Silence, FaultClass.Transient, $"nothing was heard for {limit.TotalSeconds:0} s", "Connect again.");

    private static Refusal SupersededBy(ControlFrame.Hello hello) => new(
        RefusalCode.Superseded,
        FaultClass.Transient,
        $"a newer connection serves replica {hello.Replica}",
        "If two agents protect the same VM to the same replica, stop one of them.");
}
