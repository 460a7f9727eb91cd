using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

/// <summary>
/// The target's end: serves one connection a call, many at once. One connection per replica: a newer one from the same
/// replica's source ends the older, which is as a rule a half-open leftover of a cut link.
/// </summary>
public sealed partial class ReplicationReceiver(
    IReplicaDirectory directory, string software, TimeProvider time, ILogger<ReplicationReceiver> logger)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ReplicaId, Session> _sessions = [];

    /// <summary>
    /// Runs until the connection ends, and says why it did. Throws only when <paramref name="cancellationToken"/> asks
    /// for the end. The stream stays the caller's.
    /// </summary>
    /// <param name="stream">Connected and authenticated.</param>
    /// <param name="agentId">The peer, as its certificate proves.</param>
    public async Task<UnderstudyException> ServeAsync(Stream stream, Guid agentId, CancellationToken cancellationToken)
    {
        await using ReceiverChannel channel = new(stream, time);
        try
        {
            (ControlFrame.Hello hello, IReplicaSink sink) = await ShakeHandsAsync(channel, agentId, cancellationToken);
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
            Log.Refused(logger, agentId, refused.Refusal.Code, refused.Refusal.What);
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

    private async Task<(ControlFrame.Hello Hello, IReplicaSink Sink)> ShakeHandsAsync(
        ReceiverChannel channel, Guid agentId, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = new(ProtocolLimits.HandshakeTime, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            await channel.WriteAsync(new Banner(ProtocolLimits.Version, software).Encode(), either.Token);
            Banner banner = await channel.ReadAsync(either.Token) switch
            {
                ParseResult.Greeting greeting => greeting.Banner,
                var other => throw Unexpected(other, "a banner"),
            };
            if (ReceiverCore.JudgeBanner(banner) is { } versionRefusal)
            {
                throw new RefusedException(versionRefusal, byPeer: false);
            }

            ControlFrame.Hello hello = await channel.ReadAsync(either.Token) switch
            {
                ParseResult.Control { Frame: ControlFrame.Hello said } => said,
                var other => throw Unexpected(other, "HELLO"),
            };
            return await directory.FindAsync(hello, agentId, either.Token) switch
            {
                DirectoryAnswer.Found found => (hello, found.Sink),
                DirectoryAnswer.Refused refused => throw new RefusedException(refused.Refusal, byPeer: false),
                _ => throw new System.Diagnostics.UnreachableException(),
            };
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
