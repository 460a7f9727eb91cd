using System.Text;
using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Receiving;
using Understudy.Replication.Sending;
using Understudy.Replication.Tests.Wire;
using Understudy.Replication.Wire;
using Understudy.Testing;

namespace Understudy.Replication.Tests.Transfer;

/// <summary>Scripted peers that are wrong on purpose, against either end.</summary>
public sealed class HostilePeerTests
{
    private static readonly byte[] Greeting = new Banner(ProtocolLimits.Version, "0.1.0").Encode();
    private static readonly byte[] Hello = ControlFrameCodec.Encode(HelloOf(TransferWorld.Identity.Line));
    private static readonly byte[] Record = TransferWorld.MakeRecords(TransferWorld.Identity.Line, 1, 1)[0];

    /// <summary>What a source says, and the refusal it must get.</summary>
    public static TheoryData<string, byte[], RefusalCode> NonsenseSources => new()
    {
        { "another protocol", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), RefusalCode.Malformed },
        { "a line without end", Encoding.ASCII.GetBytes(new string('U', 100_000)), RefusalCode.Malformed },
        { "a later version", "UNDERSTUDY 2 9.0\n"u8.ToArray(), RefusalCode.VersionUnsupported },
        { "nothing after the banner but the end", Greeting, RefusalCode.Malformed },
        { "garbage instead of HELLO", [.. Greeting, .. new byte[5000]], RefusalCode.Malformed },
        { "a record instead of HELLO", [.. Greeting, .. Record], RefusalCode.Malformed },
        { "ACK instead of HELLO", [.. Greeting, .. ControlFrameCodec.Encode(new ControlFrame.Ack(1))], RefusalCode.Malformed },
        { "a huge control frame", [.. Greeting, .. ControlFrameCodecTests.Forge(1, uint.MaxValue, 0)], RefusalCode.Malformed },
        { "an older line", [.. Greeting, .. ControlFrameCodec.Encode(HelloOf(new LineId(0, 1)))], RefusalCode.StaleLine },
        { "HELLO twice", [.. Greeting, .. Hello, .. Hello], RefusalCode.Malformed },
        { "an unknown frame", [.. Greeting, .. Hello, .. ControlFrameCodecTests.Forge(77, 8, 8)], RefusalCode.Malformed },
        { "a target's frame", [.. Greeting, .. Hello, .. ControlFrameCodec.Encode(new ControlFrame.Ack(1))], RefusalCode.Malformed },
        { "an answer nobody asks a source for", [.. Greeting, .. Hello, .. ControlFrameCodec.Encode(ControlFrame.Sums.OfZeros(new DiskId(0), 0, 1))], RefusalCode.Malformed },
        { "a question before HELLO", [.. Greeting, .. ControlFrameCodec.Encode(new ControlFrame.AskSums(new(new DiskId(0), new ByteRange(0, 512), 65536)))], RefusalCode.Malformed },
        { "a record of another line", [.. Greeting, .. Hello, .. TransferWorld.MakeRecords(new LineId(9, 9), 1, 1)[0]], RefusalCode.StaleLine },
        { "a record too far ahead", [.. Greeting, .. Hello, .. TransferWorld.MakeRecords(TransferWorld.Identity.Line, 3, 1)[2]], RefusalCode.Gap },
        { "a damaged header", [.. Greeting, .. Hello, .. Flip(Record, 40)], RefusalCode.Corrupt },
        { "a damaged payload", [.. Greeting, .. Hello, .. Flip(DataRecord(), RecordHeader.SizeBytes)], RefusalCode.Corrupt },
        { "garbage between records", [.. Greeting, .. Hello, .. Record, .. "garbage"u8], RefusalCode.Malformed },
    };

    [Theory]
    [MemberData(nameof(NonsenseSources))]
    public async Task Source_that_talks_nonsense_is_refused_and_changes_nothing(string who, byte[] says, RefusalCode code)
    {
        TransferWorld world = new();
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        try
        {
            await link.Client.WriteAsync(says);
        }
        catch (IOException)
        {
            // Refused in the middle of it.
        }

        if (code == RefusalCode.Malformed && says.Length == Greeting.Length)
        {
            await link.Client.DisposeAsync();
        }

        else
        {
            Assert.Equal(code, (await ReadFrameAsync<ControlFrame.Refuse>(link.Client)).Refusal.Code);
            Assert.False(serving.IsCompleted, "the refusal may still be on its way");
            await link.Client.DisposeAsync();
        }

        RefusedException refused = Assert.IsType<RefusedException>(await serving);
        Assert.Equal((who, code, false), (who, refused.Refusal.Code, refused.ByPeer));
        Assert.NotEmpty(refused.Refusal.NextStep);
        Assert.True(world.Sink.ReceivedSequence <= 1);
    }

    [Fact]
    public async Task Source_that_says_nothing_is_let_go_after_the_handshakes_time()
    {
        TransferWorld world = new();
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        world.Time.Advance(ProtocolLimits.HandshakeTime - TimeSpan.FromMilliseconds(1));
        Assert.False(serving.IsCompleted);
        world.Time.Advance(TimeSpan.FromMilliseconds(1));
        while (!serving.IsCompleted)
        {
            world.Time.Advance(ProtocolLimits.RefusalTime); // It does not read its refusal either.
            await Task.Yield();
        }

        Assert.Equal(RefusalCode.Silence, Assert.IsType<RefusedException>(await serving).Refusal.Code);
    }

    [Fact]
    public async Task Source_that_falls_silent_later_is_let_go_after_three_heartbeats()
    {
        TransferWorld world = new();
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        await link.Client.WriteAsync((byte[])[.. Greeting, .. Hello]);
        await ReadFrameAsync<ControlFrame.Welcome>(link.Client);
        while (!serving.IsCompleted)
        {
            world.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        Assert.Equal(RefusalCode.Silence, Assert.IsType<RefusedException>(await serving).Refusal.Code);
        Assert.True(world.Time.GetUtcNow() - world.Time.Start >= ProtocolLimits.SilenceLimit);
    }

    [Fact]
    public async Task Directory_says_no_and_the_source_hears_it()
    {
        TransferWorld world = new()
        {
            DirectoryRefusal = new Refusal(RefusalCode.UnknownReplica, FaultClass.NeedsOperator, "no such replica here", "protect it"),
        };
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => world.ConnectAsync(link).AsTask());
        Assert.Equal((world.DirectoryRefusal, true), (refused.Refusal, refused.ByPeer));
        Assert.Equal("protect it", refused.Remedy);
        await serving;
    }

    [Fact]
    public async Task Sender_of_a_stale_line_hears_the_current_one()
    {
        TransferWorld world = new();
        world.Sink.TakeOver(new CurrentLine(new LineId(8, 8)));
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => world.ConnectAsync(link).AsTask());
        Assert.Equal((RefusalCode.StaleLine, new LineId(8, 8)), (refused.Refusal.Code, refused.Refusal.CurrentLine));
        await serving;
    }

    /// <summary>A source whose VM has gone elsewhere asks again every few seconds, for as long as it stands.</summary>
    [Fact]
    public async Task The_same_refusal_of_the_same_agent_is_a_warning_once()
    {
        WarningCount log = new();
        TransferWorld world = new(logger: log);
        world.Sink.TakeOver(new CurrentLine(new LineId(8, 8)));
        await AskInVainAsync();
        await AskInVainAsync();
        Assert.Equal(1, log.Warnings);

        world.Sink.TakeOver(new CurrentLine(new LineId(9, 8)));
        await AskInVainAsync();
        Assert.Equal(2, log.Warnings);

        async Task AskInVainAsync()
        {
            MemoryLink link = new();
            Task<UnderstudyException> serving = world.ServeAsync(link.Server);
            await Assert.ThrowsAsync<RefusedException>(() => world.ConnectAsync(link).AsTask());
            await serving;
        }
    }

    [Fact]
    public async Task Line_that_becomes_stale_while_connected_ends_the_connection_with_the_reason()
    {
        TransferWorld world = new(records: 2);
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        ReplicationSender sender = await world.ConnectAsync(link);
        world.Sink.TakeOver(new CurrentLine(new LineId(8, 8)));
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => world.SendAllAsync(sender));
        Assert.Equal(RefusalCode.StaleLine, refused.Refusal.Code);
        Assert.Equal(0u, world.Sink.ReceivedSequence);
        await sender.DisposeAsync();
        await serving;
    }

    [Fact]
    public async Task Full_target_and_failed_flush_reach_the_source_as_what_they_are()
    {
        TransferWorld full = new(records: 1);
        full.Sink.Instead = _ => new AppendOutcome.Full("the pool has 3 MiB left");
        Assert.Equal(RefusalCode.TargetFull, (await RefusalOfAsync(full)).Code);

        TransferWorld broken = new(records: 1);
        MemoryLink link = new();
        Task<UnderstudyException> serving = broken.ServeAsync(link.Server);
        ReplicationSender sender = await broken.ConnectAsync(link);
        broken.Sink.FlushFault = new StorageException(FaultKind.FlushFailed, "journal", "EIO");
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => broken.SendAllAsync(sender));
        Assert.Equal((RefusalCode.StorageFault, FaultClass.Fatal), (refused.Refusal.Code, refused.Refusal.Class));
        Assert.Equal(0u, sender.AcknowledgedSequence);
        await sender.DisposeAsync();
        await serving;
    }

    /// <summary>What a target says instead of a proper welcome or after it.</summary>
    public static TheoryData<string, byte[]> NonsenseTargets => new()
    {
        { "another protocol", "SSH-2.0-OpenSSH_9.2\r\n"u8.ToArray() },
        { "WELCOME without a banner", ControlFrameCodec.Encode(Welcome) },
        { "a later version's WELCOME", [.. "UNDERSTUDY 2 9.0\n"u8, .. ControlFrameCodec.Encode(Welcome)] },
        { "ACK instead of WELCOME", [.. Greeting, .. ControlFrameCodec.Encode(new ControlFrame.Ack(0))] },
        { "a record", [.. Greeting, .. Record] },
        { "an acknowledgement from the future", [.. Greeting, .. ControlFrameCodec.Encode(Welcome), .. ControlFrameCodec.Encode(new ControlFrame.Ack(50))] },
        { "a record after WELCOME", [.. Greeting, .. ControlFrameCodec.Encode(Welcome), .. Record] },
        { "garbage after WELCOME", [.. Greeting, .. ControlFrameCodec.Encode(Welcome), .. "garbage"u8] },
    };

    private static ControlFrame.Welcome Welcome { get; } = new(
        TransferWorld.Identity.Line, 0, null, 1 << 20, ProtocolLimits.SilenceLimit, ProtocolFeatures.None);

    [Theory]
    [MemberData(nameof(NonsenseTargets))]
    public async Task Target_that_talks_nonsense_is_left(string who, byte[] says)
    {
        TransferWorld world = new(records: 3);
        MemoryLink link = new();
        await link.Server.WriteAsync(says);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(async () =>
        {
            await using ReplicationSender sender = await world.ConnectAsync(link);
            await world.SendAllAsync(sender);
        });
        Assert.Equal((who, RefusalCode.Malformed, false), (who, refused.Refusal.Code, refused.ByPeer));
    }

    private static ControlFrame.Hello HelloOf(LineId line) =>
        new(TransferWorld.Identity.Replica, TransferWorld.Identity.Vm, line, ProtocolFeatures.None);

    private static byte[] DataRecord()
    {
        byte[] record = new byte[RecordHeader.SizeBytes + 512];
        byte[] noise = new byte[512];
        new Random(4).NextBytes(noise);
        using RecordCodec codec = new();
        return record[..codec.EncodeData(TransferWorld.Identity.Line, 1, new DiskId(0), 0, noise, record)];
    }

    private static byte[] Flip(byte[] bytes, int at)
    {
        byte[] flipped = [.. bytes];
        flipped[at] ^= 0x10;
        return flipped;
    }

    private static async Task<Refusal> RefusalOfAsync(TransferWorld world)
    {
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        ReplicationSender sender = await world.ConnectAsync(link);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => world.SendAllAsync(sender));
        await sender.DisposeAsync();
        await serving;
        return refused.Refusal;
    }

    private static async Task<T> ReadFrameAsync<T>(Stream stream)
        where T : ControlFrame
    {
        FrameParser parser = new();
        while (true)
        {
            switch (parser.Next())
            {
                case ParseResult.Control { Frame: T wanted }:
                    return wanted;
                case ParseResult.NeedMore:
                    int read = await stream.ReadAsync(parser.GetFreeSpace());
                    Assert.NotEqual(0, read);
                    parser.Advance(read);
                    break;
                case ParseResult.Broken broken:
                    Assert.Fail(broken.What);
                    break;
            }
        }
    }

    private sealed class WarningCount : ILogger<ReplicationReceiver>
    {
        public int Warnings { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Warnings += logLevel == LogLevel.Warning ? 1 : 0;
    }
}
