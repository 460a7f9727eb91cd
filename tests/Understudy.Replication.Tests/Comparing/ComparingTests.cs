using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Comparing;
using Understudy.Replication.Sending;
using Understudy.Replication.Tests.Transfer;
using Understudy.Replication.Wire;
using Understudy.Testing;
using Understudy.Testing.Devices;

namespace Understudy.Replication.Tests.Comparing;

/// <summary>Questions and answers over a connection, beside records.</summary>
public sealed class ComparingTests
{
    private const int Block = BlockSize.Bytes;
    private static readonly DiskId Disk = new(0);

    [Fact]
    public async Task Questions_are_answered_in_order_beside_records_and_see_all_that_was_sent_before_them()
    {
        TransferWorld world = new(records: 60);
        byte[] content = new byte[40 * Block];
        for (int block = 0; block < 40; block++)
        {
            content[block * Block] = (byte)(block + 1);
        }

        world.Sink.Open = _ => new MemoryBlockDevice(content, isReadOnly: true);
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        ReplicationSender sender = await world.ConnectAsync(link);
        Assert.True(sender.CanCompare);
        await sender.SendAsync(world.Records[0], 1, default);

        // More than may be out at once; the rest waits for its turn.
        List<Task<SumTable>> answers = [];
        for (int i = 0; i < 3 * ProtocolLimits.QuestionsOut; i++)
        {
            answers.Add(sender.AskSumsAsync(new ComparedRange(Disk, new ByteRange(i * 3 * (long)Block, 3 * Block), Block), default).AsTask());
        }

        SumTable[] tables = await Task.WhenAll(answers);
        for (int block = 0; block < 36; block++)
        {
            byte[] expected = new byte[Block];
            expected[0] = (byte)(block + 1);
            Assert.Equal(ContentSum.Of(expected, Block), tables[block / 3].At(block * (long)Block));
        }

        Assert.True(world.Sink.OpenedAfterFlushes[0] >= 1, "the question was answered before what had been sent was flushed");
        Assert.True(sender.AcknowledgedSequence >= 1);
        await world.SendAllAsync(sender);
        await sender.DisposeAsync();
        await serving;
        Assert.Equal(60u, world.Sink.FlushedSequence);
    }

    [Fact]
    public async Task Seed_is_told_at_the_beginning()
    {
        TransferWorld world = new();
        world.Sink.HoldsSeed = true;
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        await using (ReplicationSender sender = await world.ConnectAsync(link))
        {
            Assert.Equal(ProtocolFeatures.Comparison | ProtocolFeatures.HoldsSeed, sender.Welcome.Features);
        }

        await serving;
    }

    [Fact]
    public async Task Fault_of_the_targets_storage_ends_the_connection_and_every_question_with_the_reason()
    {
        TransferWorld world = new();
        MemoryBlockDevice device = new(4 * Block);
        await device.DisposeAsync(); // Every read fails.
        world.Sink.Open = _ => device;
        MemoryLink link = new();
        Task<UnderstudyException> serving = world.ServeAsync(link.Server);
        await using (ReplicationSender sender = await world.ConnectAsync(link))
        {
            Task<SumTable> first = sender.AskSumsAsync(new ComparedRange(Disk, new ByteRange(0, Block), Block), default).AsTask();
            Task<SumTable> second = sender.AskSumsAsync(new ComparedRange(Disk, new ByteRange(Block, Block), Block), default).AsTask();
            Assert.Equal(RefusalCode.StorageFault, (await Assert.ThrowsAsync<RefusedException>(() => first)).Refusal.Code);
            await Assert.ThrowsAsync<RefusedException>(() => second);
        }

        await serving;
    }

    [Theory]
    [InlineData(0, 0, 2)] // more blocks than asked
    [InlineData(1, 0, 1)] // another disk
    [InlineData(0, Block, 1)] // another place
    public async Task Target_that_answers_what_was_not_asked_is_let_go(ushort disk, long offset, int blocks)
    {
        TransferWorld world = new();
        MemoryLink link = new();
        await link.Server.WriteAsync(new Banner(ProtocolLimits.Version, "x").Encode());
        await link.Server.WriteAsync(ControlFrameCodec.Encode(new ControlFrame.Welcome(
            TransferWorld.Identity.Line, 0, null, 1 << 20, TimeSpan.FromSeconds(30), ProtocolFeatures.Comparison)));
        await using ReplicationSender sender = await world.ConnectAsync(link);
        Task<SumTable> asked = sender.AskSumsAsync(new ComparedRange(Disk, new ByteRange(0, Block), Block), default).AsTask();
        await link.Server.WriteAsync(ControlFrameCodec.Encode(ControlFrame.Sums.OfZeros(new DiskId(disk), offset, blocks)));
        Assert.Equal(RefusalCode.Malformed, (await Assert.ThrowsAsync<RefusedException>(() => asked)).Refusal.Code);
    }

    [Fact]
    public async Task Target_that_cannot_compare_is_not_asked()
    {
        TransferWorld world = new();
        MemoryLink link = new();
        await link.Server.WriteAsync(new Banner(ProtocolLimits.Version, "x").Encode());
        await link.Server.WriteAsync(ControlFrameCodec.Encode(new ControlFrame.Welcome(
            TransferWorld.Identity.Line, 0, null, 1 << 20, TimeSpan.FromSeconds(30), ProtocolFeatures.None)));
        await using ReplicationSender sender = await world.ConnectAsync(link);
        Assert.False(sender.CanCompare);
        await Assert.ThrowsAsync<InvariantException>(async () => await sender.AskSumsAsync(new ComparedRange(Disk, new ByteRange(0, Block), Block), default));
    }
}
