using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Sending;
using Understudy.Replication.Wire;
using Understudy.Testing;

namespace Understudy.Replication.Tests.Transfer;

public sealed class TransferTests
{
    [Fact]
    public async Task Records_arrive_as_they_were_and_are_acknowledged()
    {
        TransferWorld world = new(records: 500);
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        ReplicationSender sender = await world.ConnectAsync(link);
        await world.SendAllAsync(sender);
        Assert.Equal(0, sender.UnacknowledgedBytes);
        await sender.DisposeAsync();

        Assert.IsType<ConnectionLostException>(await serving);
        Assert.Equal(world.Records.Select(Convert.ToHexString), world.Sink.Records.Select(Convert.ToHexString));
        Assert.Equal(500u, world.Sink.FlushedSequence);
    }

    [Fact]
    public async Task Connection_resumes_after_what_is_durable_and_nothing_is_sent_twice()
    {
        TransferWorld world = new(records: 40);
        MemoryLink first = new();
        Task<UnderstudyException> serving = world.ServeAsync(first.Server);
        ReplicationSender sender = await world.ConnectAsync(first);
        await sender.SendAsync(world.Records[0], 1, CancellationToken.None);
        await sender.EndBatchAsync(CancellationToken.None);
        await sender.WaitAcknowledgedAsync(1, CancellationToken.None);
        await sender.DisposeAsync();
        await serving;

        MemoryLink second = new();
        serving = world.ServeAsync(second.Server);
        sender = await world.ConnectAsync(second);
        Assert.Equal(1u, sender.Welcome.FlushedSequence);
        long before = second.ClientSentBytes;
        await world.SendAllAsync(sender);
        Assert.Equal(
            world.Records.Skip(1).Sum(r => r.Length) + ControlFrameCodec.HeaderBytes + 8,
            second.ClientSentBytes - before);
        await sender.DisposeAsync();
        await serving;
    }

    [Fact]
    public async Task A_source_with_nothing_to_send_hears_of_a_new_line_at_once()
    {
        TransferWorld world = new(records: 3);
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        await using ReplicationSender sender = await world.ConnectAsync(link);
        await world.SendAllAsync(sender);
        CurrentLine newer = new(new LineId(2, 9), DateTimeOffset.UnixEpoch.AddYears(60), new LineOffer(new TransferId(Guid.AllBitsSet), new RecoveryPointId(TransferWorld.Identity.Line, 3)));
        world.Sink.TakeOver(newer);

        RefusedException heard = await Assert.ThrowsAsync<RefusedException>(async () => await sender.WaitAcknowledgedAsync(4, CancellationToken.None));
        Assert.Equal(RefusalCode.StaleLine, heard.Refusal.Code);
        Assert.Equal((newer.Line, newer.MintedAt, newer.Offer), (heard.Refusal.CurrentLine, heard.Refusal.MintedAt, heard.Refusal.Offer));
        await sender.DisposeAsync();
        await serving;
    }

    [Fact]
    public async Task Cut_at_any_byte_from_the_source_loses_nothing()
    {
        long whole = await RunCutAsync(cutForth: null, cutBack: null, crash: false);
        for (long cut = 0; cut < whole; cut++)
        {
            await RunCutAsync(cutForth: cut, cutBack: null, crash: cut % 2 == 0);
        }
    }

    [Fact]
    public async Task Cut_at_any_byte_from_the_target_loses_nothing()
    {
        for (long cut = 0; cut < 250; cut++)
        {
            await RunCutAsync(cutForth: null, cutBack: cut, crash: cut % 2 == 0);
        }
    }

    [Fact]
    public async Task Flush_comes_before_the_acknowledgement_always()
    {
        TransferWorld world = new(records: 5);
        TaskCompletionSource flushReached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource flushMayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        await using ReplicationSender sender = await world.ConnectAsync(link);
        world.Sink.BeforeFlushEnds = async () =>
        {
            flushReached.TrySetResult();
            await flushMayEnd.Task;
        };
        for (ulong sequence = 1; sequence <= 5; sequence++)
        {
            await sender.SendAsync(world.Records[(int)sequence - 1], sequence, CancellationToken.None);
        }

        await sender.EndBatchAsync(CancellationToken.None);
        await flushReached.Task;
        long saidBefore = link.ServerSentBytes;
        Assert.Equal(0u, sender.AcknowledgedSequence);
        Assert.Equal(5u, world.Sink.ReceivedSequence);

        world.Time.Advance(ProtocolLimits.HeartbeatEvery);
        Assert.Equal(0u, sender.AcknowledgedSequence);
        flushMayEnd.SetResult();
        await sender.WaitAcknowledgedAsync(5, CancellationToken.None);
        Assert.True(link.ServerSentBytes > saidBefore);
        await sender.DisposeAsync();
        await serving;
    }

    [Fact]
    public async Task Source_that_falls_silent_in_a_batch_is_acknowledged_after_a_pause_all_the_same()
    {
        TransferWorld world = new(records: 3);
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        await using ReplicationSender sender = await world.ConnectAsync(link);
        await sender.SendAsync(world.Records[0], 1, CancellationToken.None);
        Task pushed = sender.Changed.WaitPastAsync(sender.Changed.Beats, CancellationToken.None).AsTask();

        // The heartbeat pushes what was gathered; then nothing comes, and the pause is over.
        while (!pushed.IsCompleted)
        {
            world.Time.Advance(TimeSpan.FromMilliseconds(1));
            await Task.Yield();
        }

        Assert.Equal(1u, sender.AcknowledgedSequence);
        await sender.DisposeAsync();
        await serving;
    }

    [Fact]
    public async Task Sender_waits_at_a_full_window_until_the_target_has_flushed()
    {
        byte[][] records = LargeRecords(80);
        TransferWorld world = new();
        MemoryLink link = new();
        TaskCompletionSource flushMayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        await using ReplicationSender sender = await world.ConnectAsync(link);
        world.Sink.BeforeFlushEnds = () => flushMayEnd.Task;

        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < records.Length; i++)
            {
                await sender.SendAsync(records[i], (ulong)i + 1, CancellationToken.None);
            }

            await sender.EndBatchAsync(CancellationToken.None);
            await sender.WaitAcknowledgedAsync((ulong)records.Length, CancellationToken.None);
        });
        while (world.Sink.ReceivedSequence < 8)
        {
            await Task.Yield();
        }

        Assert.False(sending.IsCompleted);
        Assert.True(sender.UnacknowledgedBytes <= ProtocolLimits.WindowBytes);
        flushMayEnd.SetResult();
        await sending;
        Assert.Equal(80u, world.Sink.FlushedSequence);
        Assert.True(world.Sink.Flushes < 15, $"{world.Sink.Flushes} flushes for 80 MiB");
        await sender.DisposeAsync();
        await serving;
    }

    [Fact]
    public async Task Newer_connection_for_a_replica_ends_the_older_and_waits_for_it()
    {
        TransferWorld world = new(records: 10);
        MemoryLink first = new();
        Task<UnderstudyException> firstServing = world.ServeAsync(first.Server);
        await using ReplicationSender old = await world.ConnectAsync(first);
        await old.SendAsync(world.Records[0], 1, CancellationToken.None);
        await old.EndBatchAsync(CancellationToken.None);
        await old.WaitAcknowledgedAsync(1, CancellationToken.None);

        MemoryLink second = new();
        Task<UnderstudyException> secondServing = world.ServeAsync(second.Server);
        ReplicationSender fresh = await world.ConnectAsync(second);
        await world.SendAllAsync(fresh);
        await old.DisposeAsync();
        RefusedException ended = Assert.IsType<RefusedException>(await firstServing);
        Assert.Equal(RefusalCode.Superseded, ended.Refusal.Code);
        Assert.Equal(10u, world.Sink.FlushedSequence);
        await fresh.DisposeAsync();
        await secondServing;
    }

    [Fact]
    public async Task Target_that_never_answers_the_greeting_is_left_after_the_handshakes_time()
    {
        TransferWorld world = new();
        Task<ReplicationSender> connecting = world.ConnectAsync(new MemoryLink()).AsTask();
        world.Time.Advance(ProtocolLimits.HandshakeTime);
        await Assert.ThrowsAsync<ConnectionLostException>(() => connecting);
    }

    [Fact]
    public async Task Target_that_falls_silent_is_left_after_three_heartbeats_even_while_the_network_takes_nothing()
    {
        TransferWorld world = new();
        MemoryLink link = new();
        ControlFrame.Welcome welcome = new(
            TransferWorld.Identity.Line, 0, null, ProtocolLimits.WindowBytes, ProtocolLimits.SilenceLimit, ProtocolFeatures.None);
        await link.Server.WriteAsync((byte[])[.. new Banner(1, "0.1.0").Encode(), .. ControlFrameCodec.Encode(welcome)]);
        await using ReplicationSender sender = await world.ConnectAsync(link);

        // Nobody reads: the link's buffer fills and a write hangs, which must not keep the clock from being heard.
        Task sending = Task.Run(async () =>
        {
            byte[][] records = LargeRecords(3);
            for (int i = 0; i < records.Length; i++)
            {
                await sender.SendAsync(records[i], (ulong)i + 1, CancellationToken.None);
            }
        });
        while (sender.EndReason is null)
        {
            world.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        Assert.Contains("nothing was heard", Assert.IsType<ConnectionLostException>(sender.EndReason).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ConnectionLostException>(() => sending);
    }

    /// <summary>One cut connection (and perhaps a power loss at the target), then whole ones until all is durable.</summary>
    private static async Task<long> RunCutAsync(long? cutForth, long? cutBack, bool crash)
    {
        TransferWorld world = new(records: 20, seed: 3);
        ulong promised = 0;
        MemoryLink link = new(cutForth, cutBack);
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        try
        {
            await using ReplicationSender sender = await world.ConnectAsync(link);
            try
            {
                await world.SendAllAsync(sender);
            }
            finally
            {
                promised = sender.AcknowledgedSequence;
            }
        }
        catch (ConnectionLostException)
        {
            Assert.True(cutForth is not null || cutBack is not null);
        }

        await serving;
        if (crash)
        {
            world.Sink.Crash();
        }

        Assert.True(world.Sink.FlushedSequence >= promised, "the target lost what it had acknowledged");
        MemoryLink again = new();
        serving = world.ServeAsync(again.Server);
        await using (ReplicationSender sender = await world.ConnectAsync(again))
        {
            await world.SendAllAsync(sender);
        }

        await serving;
        Assert.Equal(world.Records.Select(Convert.ToHexString), world.Sink.Records.Select(Convert.ToHexString));
        return link.ClientSentBytes;
    }

    private static byte[][] LargeRecords(int count)
    {
        byte[][] records = new byte[count][];
        byte[] noise = new byte[Journal.Records.RecordLimits.MaxDataBytes];
        new Random(1).NextBytes(noise);
        using Journal.Records.RecordCodec codec = new();
        for (int i = 0; i < count; i++)
        {
            records[i] = new byte[Journal.Records.RecordLimits.MaxRecordBytes];
            codec.EncodeData(TransferWorld.Identity.Line, (ulong)i + 1, new DiskId(0), 0, noise, records[i]);
        }

        return records;
    }
}
