using Understudy.Blocks;
using Understudy.Replication.Calling;
using Understudy.Replication.Sending;
using Understudy.Replication.Tests.Transfer;
using Understudy.Replication.Wire;
using Understudy.Testing;

namespace Understudy.Replication.Tests.Calling;

/// <summary>Where the target dials: who says what first, and what becomes of a call that nobody can take (REG-3).</summary>
public sealed class CallTests
{
    [Fact]
    public async Task Source_that_is_called_sends_as_one_that_has_dialled()
    {
        CallWorld world = new(records: 30);
        using CancellationTokenSource stop = new();
        Task calling = world.RunCallerAsync(stop.Token);
        await using (ReplicationSender sender = await world.OpenSessionAsync(await world.CalledAsync(0)))
        {
            await world.Transfer.SendAllAsync(sender);
            Assert.True(world.Receiver.IsReceiving(TransferWorld.Identity.Replica));
        }

        Assert.Equal(30u, world.Transfer.Sink.FlushedSequence);
        IncomingCall call = Assert.Single(world.Calls);
        Assert.Equal((TransferWorld.Identity.Replica, TransferWorld.Identity.Vm, TransferWorld.Agent), (call.Replica, call.Vm, call.Agent));
        await EndAsync(stop, calling);
    }

    [Fact]
    public async Task Target_calls_again_within_three_seconds_of_a_sessions_end()
    {
        CallWorld world = new(records: 3);
        using CancellationTokenSource stop = new();
        Task calling = world.RunCallerAsync(stop.Token);
        DateTimeOffset ended = default;
        for (int i = 0; i < 3; i++)
        {
            ReplicationSender sender = await world.OpenSessionAsync(await world.CalledAsync(i));
            Assert.True(i == 0 || world.Time.GetUtcNow() - ended < TimeSpan.FromSeconds(3), "the next call came late");
            await sender.DisposeAsync();
            ended = world.Time.GetUtcNow();
        }

        await EndAsync(stop, calling);
    }

    [Fact]
    public async Task Call_for_a_replica_without_a_source_here_is_refused_and_made_again()
    {
        CallWorld world = new() { Knows = _ => false };
        MemoryLink link = new();
        Task<UnderstudyException?> serving = world.Door.ServeAsync(link.Server, TransferWorld.Agent, CancellationToken.None);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => CallAsync(world, link.Client));
        Assert.Equal((RefusalCode.UnknownReplica, true), (refused.Refusal.Code, refused.ByPeer));
        await link.Client.DisposeAsync();
        Assert.NotNull(await serving);

        using CancellationTokenSource stop = new();
        Task calling = world.RunCallerAsync(stop.Token);
        await world.UntilAsync(() => world.Dialled > 3);
        world.Knows = _ => true;
        await using (await world.OpenSessionAsync(await world.CalledAsync(0)))
        {
            await EndAsync(stop, calling);
        }
    }

    [Fact]
    public async Task Call_of_another_agent_than_the_sources_target_learns_no_more_than_one_for_nothing()
    {
        Guid stranger = Guid.NewGuid();
        CallWorld world = new() { Knows = call => call.Agent == TransferWorld.Agent };
        MemoryLink link = new();
        Task<UnderstudyException?> serving = world.Door.ServeAsync(link.Server, stranger, CancellationToken.None);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => CallAsync(world, link.Client));
        Assert.Equal(Refusal.UnknownSource(TransferWorld.Identity.Replica), refused.Refusal);
        await link.Client.DisposeAsync();
        Assert.NotNull(await serving);
    }

    [Fact]
    public async Task Call_where_no_targets_are_expected_breaks_the_protocol()
    {
        CallWorld world = new();
        MemoryLink link = new();
        Task<UnderstudyException?> serving = world.Receiver.ServeAsync(link.Server, TransferWorld.Agent, CancellationToken.None);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => CallAsync(world, link.Client));
        Assert.Equal(RefusalCode.Malformed, refused.Refusal.Code);
        await link.Client.DisposeAsync();
        Assert.IsType<RefusedException>(await serving);
    }

    [Fact]
    public async Task Call_that_the_source_has_no_use_for_is_told_so_in_time()
    {
        CallWorld world = new();
        MemoryLink link = new();
        Task<UnderstudyException?> serving = world.Door.ServeAsync(link.Server, TransferWorld.Agent, CancellationToken.None);
        Task calling = CallAsync(world, link.Client);
        DateTimeOffset began = world.Time.GetUtcNow();
        await world.UntilAsync(() => calling.IsCompleted);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => calling);
        Assert.Equal(RefusalCode.Busy, refused.Refusal.Code);
        Assert.InRange(world.Time.GetUtcNow() - began, ProtocolLimits.CallWaits, ProtocolLimits.CallTime);
        Assert.Null(await world.Calls[0].TryTakeAsync(CancellationToken.None));
        await link.Client.DisposeAsync();
        Assert.NotNull(await serving);
    }

    [Fact]
    public async Task Call_that_is_never_answered_is_given_up()
    {
        CallWorld world = new();
        Task calling = CallAsync(world, new MemoryLink().Client);
        await world.UntilAsync(() => calling.IsCompleted);
        await Assert.ThrowsAsync<ConnectionLostException>(() => calling);
    }

    [Fact]
    public async Task Something_behind_an_unanswered_call_ends_the_connection()
    {
        CallWorld world = new();
        MemoryLink link = new();
        byte[] call = ControlFrameCodec.Encode(new ControlFrame.Call(TransferWorld.Identity.Replica, TransferWorld.Identity.Vm));
        await link.Client.WriteAsync((byte[])[.. new Banner(1, "0.1.0").Encode(), .. call, .. call]);
        Task<UnderstudyException?> serving = world.Door.ServeAsync(link.Server, TransferWorld.Agent, CancellationToken.None);
        await link.Client.DisposeAsync();
        Assert.Equal(RefusalCode.Malformed, Assert.IsType<RefusedException>(await serving).Refusal.Code);
        Assert.Empty(world.Calls);
    }

    [Fact]
    public async Task Anything_but_an_answer_to_a_call_breaks_the_protocol()
    {
        foreach (byte[] words in (byte[][])
        [
            "HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray(),
            [.. new Banner(1, "0.1.0").Encode(), .. ControlFrameCodec.Encode(new ControlFrame.Ping(1))],
            [.. new Banner(1, "0.1.0").Encode(), .. new byte[ControlFrameCodec.HeaderBytes]],
        ])
        {
            CallWorld world = new();
            MemoryLink link = new();
            await link.Server.WriteAsync(words);
            RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => CallAsync(world, link.Client));
            Assert.Equal((RefusalCode.Malformed, false), (refused.Refusal.Code, refused.ByPeer));
        }
    }

    [Fact]
    public async Task Source_of_another_version_is_named()
    {
        CallWorld world = new();
        MemoryLink link = new();
        await link.Server.WriteAsync((byte[])[.. new Banner(9, "9.0.0").Encode(), .. ControlFrameCodec.Encode(ControlFrame.Answer.Value)]);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => CallAsync(world, link.Client));
        Assert.Equal(RefusalCode.VersionUnsupported, refused.Refusal.Code);
    }

    [Fact]
    public async Task Cut_anywhere_in_the_handshake_costs_another_call_and_nothing_else()
    {
        long[] whole = await BytesOfHandshakeAsync();
        for (long cut = 0; cut <= whole[0]; cut++)
        {
            await RunCutAsync(new MemoryLink(cutForthAfterBytes: cut));
        }

        for (long cut = 0; cut <= whole[1]; cut++)
        {
            await RunCutAsync(new MemoryLink(cutBackAfterBytes: cut));
        }
    }

    [Fact]
    public async Task Target_does_not_dial_while_a_session_stands_that_the_source_has_opened()
    {
        CallWorld world = new(records: 2);
        MemoryLink link = new();
        Task serving = world.Receiver.ServeAsync(link.Server, TransferWorld.Agent, CancellationToken.None);
        ReplicationSender sender = await world.Transfer.ConnectAsync(link);
        using CancellationTokenSource stop = new();
        Task calling = world.RunCallerAsync(stop.Token);
        DateTimeOffset began = world.Time.GetUtcNow();
        await world.UntilAsync(() => world.Time.GetUtcNow() - began > TimeSpan.FromSeconds(10));
        Assert.Equal(0, world.Dialled);
        await sender.DisposeAsync();
        await link.Client.DisposeAsync();
        await serving;
        await using (await world.OpenSessionAsync(await world.CalledAsync(0)))
        {
            await EndAsync(stop, calling);
        }
    }

    /// <summary>Forth and back, up to the source's first record.</summary>
    private static async Task<long[]> BytesOfHandshakeAsync()
    {
        CallWorld world = new();
        MemoryLink link = new();
        world.Next(link);
        using CancellationTokenSource stop = new();
        Task calling = world.RunCallerAsync(stop.Token);
        await using (await world.OpenSessionAsync(await world.CalledAsync(0)))
        {
            long[] bytes = [link.ClientSentBytes, link.ServerSentBytes];
            await EndAsync(stop, calling);
            return bytes;
        }
    }

    private static async Task RunCutAsync(MemoryLink broken)
    {
        CallWorld world = new(records: 5);
        world.Next(broken);
        using CancellationTokenSource stop = new();
        Task calling = world.RunCallerAsync(stop.Token);
        for (int call = 0; world.Transfer.Sink.FlushedSequence < 5; call++)
        {
            try
            {
                await using ReplicationSender sender = await world.OpenSessionAsync(await world.CalledAsync(call));
                await world.Transfer.SendAllAsync(sender);
            }
            catch (ConnectionLostException)
            {
                Assert.True(call == 0, "a whole link was lost");
            }
        }

        await EndAsync(stop, calling);
    }

    private static Task CallAsync(CallWorld world, Stream stream) => OutgoingCall.MakeAsync(
        stream, TransferWorld.Identity.Replica, TransferWorld.Identity.Vm, "0.1.0", world.Time, CancellationToken.None).AsTask();

    private static async Task EndAsync(CancellationTokenSource stop, Task calling)
    {
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calling);
    }
}
