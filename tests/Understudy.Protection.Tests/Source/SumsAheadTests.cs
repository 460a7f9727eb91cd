using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Source;
using Understudy.Replication.Comparing;
using Understudy.Replication.Receiving;
using Understudy.Replication.Sending;
using Understudy.Replication.Wire;
using Understudy.Testing;
using static Understudy.Protection.Tests.Source.SourceRulesTests;

namespace Understudy.Protection.Tests.Source;

/// <summary>Against the real sender and receiver, in front of a replica that holds nothing: zeros are told without being read,
/// so that disks may be as large as they like.</summary>
public sealed class SumsAheadTests : IReplicaDirectory, IReplicaSink
{
    private const long Gigabyte = 1L << 30;
    private int _asked;

    public CurrentLine Current => new(Spec.Line);

    public CancellationToken LineEnds => CancellationToken.None;

    public ulong ReceivedSequence => 0;

    public ulong FlushedSequence => 0;

    public RecoveryPointId? LastPoint => null;

    public bool HoldsSeed => false;

    [Fact]
    public async Task Answers_held_are_bounded_and_more_is_asked_as_the_copy_moves_on()
    {
        SourceDisk[] disks =
        [
            new SourceDisk(new DiskId(0), "vda", 20 * Gigabyte, CopiedBytes: 5 * Gigabyte, VirginFromBytes: 6 * Gigabyte),
            new SourceDisk(new DiskId(1), "vdb", 100 * Gigabyte, VirginFromBytes: SourceDisk.Nowhere),
            new SourceDisk(new DiskId(2), "vdc", Gigabyte),
        ];
        await using ReplicationSender sender = await ConnectAsync();
        await using SumsAhead ahead = new(sender, disks);
        await ahead.WaitAsync(new DiskId(0), new ByteRange(5 * Gigabyte, Gigabyte), default);
        Assert.Equal(6 * Gigabyte, ahead.KnownTo(new DiskId(0), ComparedGround.Of(disks[0])));
        await ahead.WaitAsync(new DiskId(1), new ByteRange(0, 30 * Gigabyte), default);
        Assert.Equal(ContentSum.OfZeros(BlockSize.Bytes), ahead.At(new DiskId(1), 29 * Gigabyte));
        Assert.InRange(_asked, 31 * 16, 512 + ProtocolLimits.QuestionsOut); // 64 MiB a question.

        for (long copied = 10 * Gigabyte; copied <= 100 * Gigabyte; copied += 10 * Gigabyte)
        {
            long from = copied - (10 * Gigabyte);
            await ahead.WaitAsync(new DiskId(1), new ByteRange(from, 10 * Gigabyte), default);
            ahead.Forget([disks[0] with { CopiedBytes = 20 * Gigabyte }, disks[1] with { CopiedBytes = copied }, disks[2]]);
            Assert.Throws<InvariantException>(() => ahead.At(new DiskId(1), from));
        }

        Assert.Equal(101 * 16, _asked);
        Assert.Null(ComparedGround.Next([disks[2]]));
    }

    [Fact]
    public async Task Connection_that_ends_is_said_to_whoever_waits()
    {
        ReplicationSender sender = await ConnectAsync();
        SumsAhead ahead = new(sender, [new SourceDisk(new DiskId(1), "vdb", 100 * Gigabyte, VirginFromBytes: SourceDisk.Nowhere)]);
        Task waiting = ahead.WaitAsync(new DiskId(1), new ByteRange(0, 90 * Gigabyte), default).AsTask();
        await sender.DisposeAsync();
        await Assert.ThrowsAsync<ConnectionLostException>(() => waiting);
        await ahead.DisposeAsync();
    }

    [Fact]
    public void Sums_hold_while_every_copy_goes_forward_and_no_longer()
    {
        SourceDisk[] disks = Copied(5 * 65536, 0);
        Assert.True(ComparedGround.SumsHold(disks, Copied(6 * 65536, 65536)));
        Assert.False(ComparedGround.SumsHold(disks, Copied(4 * 65536, 0)));
        Assert.False(ComparedGround.SumsHold(disks, [disks[0]]));
        Assert.False(ComparedGround.SumsHold(disks, [disks[1], disks[0]]));
        Assert.False(ComparedGround.SumsHold(disks, [disks[0], disks[1].GrownTo(1 << 30)]));
    }

    public ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken) =>
        ValueTask.FromResult<DirectoryAnswer>(new DirectoryAnswer.Found(this));

    public ValueTask<IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _asked);
        return ValueTask.FromResult<IBlockDevice?>(null);
    }

    public ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<ulong> FlushAsync(CancellationToken cancellationToken) => ValueTask.FromResult(0ul);

    private async Task<ReplicationSender> ConnectAsync()
    {
        MemoryLink link = new();
        ReplicationReceiver receiver = new(this, "test", TimeProvider.System, NullLogger<ReplicationReceiver>.Instance);
        _ = receiver.ServeAsync(link.Server, Guid.Empty, default);
        return await ReplicationSender.ConnectAsync(link.Client, new SenderIdentity(Spec.Replica, Spec.Vm, Spec.Line, "test"), TimeProvider.System, default);
    }
}
