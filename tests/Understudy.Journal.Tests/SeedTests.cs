using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Tests.Rig;
using Understudy.Testing;

namespace Understudy.Journal.Tests;

/// <summary>CFG-5: a base that begins with content no source has sent.</summary>
public sealed class SeedTests
{
    private const int Block = BlockSize.Bytes;
    private static readonly DiskId _a = new(0);
    private static readonly DiskId _b = new(1);
    private static readonly NewReplica _spec = TestRig.Spec with { AwaitsSeed = true };

    [Fact]
    public async Task What_equals_the_seed_need_not_be_sent_and_what_differs_is_laid_over_it()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await BeginAsync(disk, source);
        byte[] old = RandomBytes(1, 4 * Block);
        TestSeed seed = new(new Dictionary<DiskId, byte[]> { [_a] = old });

        Assert.IsType<SeedOutcome.Taken>(await replica.TakeSeedAsync(seed, default));

        old.CopyTo(source.Disks[_a], 0);
        Assert.Equal(0, await SendDifferencesAsync(replica, source));
        await replica.AppendAsync(source.Write(_a, Block + 512, RandomBytes(8, 1024)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await CheckAsync(replica, source);
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task Until_it_is_read_nothing_is_applied_compared_or_listed()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), _spec, default);
        TestSeed seed = new(new Dictionary<DiskId, byte[]>());
        Assert.IsType<SeedOutcome.NoDisksYet>(await replica.TakeSeedAsync(seed, default));

        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, Block)), source.Checkpoint(TestRig.Start, hidden: true));
        Assert.IsType<SeedOutcome.NoDisksYet>(await replica.TakeSeedAsync(seed, default)); // Not durable yet.
        await replica.FlushAsync(default);

        Assert.True(replica.AwaitsSeed);
        Assert.IsType<ApplyOutcome.AwaitsSeed>(await replica.ApplyAsync(source.LastPoint, default));
        Assert.IsType<ApplyOutcome.NothingToDo>(await replica.ApplyRetentionAsync(TimeSpan.Zero, default));
        await Assert.ThrowsAsync<StorageException>(async () => await replica.OpenNewestAsync(_a, default));
        Task waiting = replica.WaitForSeedAsync(default).AsTask();
        Assert.False(waiting.IsCompleted);

        Assert.IsType<SeedOutcome.Taken>(await replica.TakeSeedAsync(seed, default));

        await waiting;
        Assert.False(replica.AwaitsSeed);
        Assert.Empty(replica.Points);
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task Whoever_waits_for_a_seed_is_told_when_the_replica_is_closed()
    {
        Replica replica = await Replica.CreateAsync(TestRig.Environment(new CrashDisk()), _spec, default);
        Task waiting = replica.WaitForSeedAsync(default).AsTask();
        await replica.DisposeAsync();
        Assert.Equal(FaultKind.Closed, (await Assert.ThrowsAsync<StorageException>(() => waiting)).Kind);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(700)]
    [InlineData(2 * Block)]
    [InlineData((2 * Block) + 1536)]
    [InlineData((4 * Block) + 512)]
    [InlineData(9 * Block)]
    public async Task A_seed_of_any_size_is_cut_or_goes_on_with_zeros(int bytes)
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await BeginAsync(disk, source);
        byte[] old = RandomBytes(2, bytes);
        await replica.TakeSeedAsync(new TestSeed(new Dictionary<DiskId, byte[]> { [_a] = old, [_b] = old }), default);

        byte[] expected = new byte[source.Disks[_a].Length];
        old.AsSpan(0, Math.Min(old.Length, expected.Length)).CopyTo(expected);
        await using (ReplicaView view = (await replica.OpenNewestAsync(_a, default))!)
        {
            await view.AssertReadsAsync(expected);
        }

        await FinishAsync(replica, source);
    }

    [Fact]
    public async Task What_is_damaged_in_a_seed_is_missing_and_nothing_else()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await BeginAsync(disk, source);
        byte[] old = RandomBytes(3, 4 * Block);
        TestSeed seed = new(new Dictionary<DiskId, byte[]> { [_a] = old });
        seed.Damaged.Add(2 * Block);
        await replica.TakeSeedAsync(seed, default);
        Assert.Equal(Block, seed.DamagedBytes);
        old.CopyTo(source.Disks[_a], 0);
        Assert.Equal(1, await SendDifferencesAsync(replica, source));
        await FinishAsync(replica, source);
    }

    [Fact]
    public async Task A_seed_that_goes_away_leaves_the_replica_well_and_can_be_done_without()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await BeginAsync(disk, source);
        TestSeed seed = new(new Dictionary<DiskId, byte[]> { [_a] = RandomBytes(4, 4 * Block) }) { Fault = FaultKind.Io };
        SeedUnreadableException gone = await Assert.ThrowsAsync<SeedUnreadableException>(async () => await replica.TakeSeedAsync(seed, default));
        Assert.Equal("vda", gone.TargetDevice);
        Assert.False(replica.IsStopped);
        Assert.True(replica.AwaitsSeed);

        await replica.TakeSeedAsync(new TestSeed(new Dictionary<DiskId, byte[]>()), default);
        await FinishAsync(replica, source);
    }

    [Fact]
    public async Task What_a_source_sent_before_the_seed_was_read_counts()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), _spec, default);
        await replica.AppendAsync(
            source.SetGeometry(TestRig.Disk(0, 4 * Block)), source.Write(_a, 512, RandomBytes(8, 1024)),
            source.Zero(_a, new ByteRange(Block, Block)), source.Checkpoint(TestRig.Start, hidden: true));
        await replica.AppendAsync(source.Write(_a, 3 * Block, RandomBytes(9, 512)));
        await replica.FlushAsync(default);
        byte[] old = RandomBytes(5, 4 * Block);
        await replica.TakeSeedAsync(new TestSeed(new Dictionary<DiskId, byte[]> { [_a] = old }), default);

        RandomBytes(8, 1024).CopyTo(old, 512);
        old.AsSpan(Block, Block).Clear();
        RandomBytes(9, 512).CopyTo(old, 3 * Block);
        await using (ReplicaView view = (await replica.OpenNewestAsync(_a, default))!)
        {
            await view.AssertReadsAsync(old);
        }

        await FinishAsync(replica, source);
    }

    /// <summary>A fault of the base in the middle; the next try finds another seed, which must not mix with the first unseen.</summary>
    [Fact]
    public async Task A_base_that_fails_under_it_is_opened_anew_and_gone_on_with()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await BeginAsync(disk, source);
        disk.BeforeChange = change =>
        {
            if (change is CrashDisk.Change.Flush flush && disk.Names.TryGetValue("image-0", out CrashDisk.Inode? image) && flush.File == image && disk.Changes[^1] is CrashDisk.Change.Write)
            {
                throw new StorageException(FaultKind.FlushFailed, "image-0", "planted");
            }
        };
        await Assert.ThrowsAsync<StorageException>(async () => await replica.TakeSeedAsync(new TestSeed(new Dictionary<DiskId, byte[]> { [_a] = RandomBytes(6, 4 * Block) }), default));
        disk.BeforeChange = null;
        Assert.False(replica.IsStopped);
        await replica.TakeSeedAsync(new TestSeed(new Dictionary<DiskId, byte[]> { [_a] = RandomBytes(7, Block) }), default);
        await FinishAsync(replica, source);
    }

    /// <summary>
    /// The machine dies at every change that reached the disk; the next process finds another seed (somebody has replaced
    /// the file), or none at all. Whatever it is: what the source then sends makes every point right.
    /// </summary>
    [Theory]
    [InlineData(11)]
    [InlineData(0)]
    public async Task A_machine_that_dies_while_it_reads_goes_on_and_nothing_half_read_is_ever_content(int number)
    {
        number = number == 0 ? Seed.Next() : number;
        Random random = new(number);
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await BeginAsync(disk, source);
        int first = disk.Changes.Count;
        Dictionary<int, Dictionary<DiskId, long>> remembered = [];
        Dictionary<DiskId, long> reached = [];
        TestSeed seed = new(Contents(random))
        {
            WhenReached = (id, bytes) =>
            {
                reached[id] = bytes;
                remembered[disk.Changes.Count] = new(reached);
            },
        };
        await replica.TakeSeedAsync(seed, default);
        await replica.DisposeAsync();
        for (int changes = first; changes <= disk.Changes.Count; changes++)
        {
            foreach (CrashKind kind in Enum.GetValues<CrashKind>())
            {
                int dice = random.Next();
                try
                {
                    CrashDisk found = CrashImage.After(disk, changes, random.NextDouble(), kind, new Random(dice));
                    Dictionary<DiskId, long> known = remembered.Where(r => r.Key <= changes).OrderBy(r => r.Key).LastOrDefault().Value ?? [];
                    await GoOnAsync(found, new TestSeed(Contents(new Random(dice))) { Reached = new(known) }, source, new Random(dice));
                }
                catch (Exception e)
                {
                    Assert.Fail($"seed {number}, {kind} after {changes} of {disk.Changes.Count} changes, dice {dice}: {e}");
                }
            }
        }
    }

    private static async Task GoOnAsync(CrashDisk found, TestSeed seed, SourceModel before, Random random)
    {
        SourceModel source = new(TestRig.Line1) { Sequence = before.Sequence };
        source.SetGeometry([.. before.Geometry.Disks]);
        source.Sequence = before.Sequence;
        Replica replica = await Replica.OpenAsync(TestRig.Environment(found), default);
        Assert.Empty(replica.Points);
        Assert.IsType<SeedOutcome.Taken>(await replica.TakeSeedAsync(seed, default));
        foreach (byte[] content in source.Disks.Values)
        {
            random.NextBytes(content.AsSpan(0, content.Length / 2)); // The other half is zeros, over whatever the seed had.
        }

        await FinishAsync(replica, source);
    }

    private static Dictionary<DiskId, byte[]> Contents(Random random) => new()
    {
        [_a] = RandomBytes(random.Next(), random.Next(4 * Block)),
        [_b] = RandomBytes(random.Next(), random.Next(3 * Block)),
    };

    /// <summary>A replica that awaits its seed and knows its disks.</summary>
    private static async Task<Replica> BeginAsync(CrashDisk disk, SourceModel source)
    {
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), _spec, default);
        await replica.AppendAsync(
            source.SetGeometry(TestRig.Disk(0, 4 * Block), TestRig.Disk(1, Block + 1536)), source.SetDefinition(1), source.Checkpoint(TestRig.Start, hidden: true));
        await replica.FlushAsync(default);
        return replica;
    }

    /// <summary>What a source does: each block is compared, and sent where it differs. Returns the number of those.</summary>
    private static async Task<int> SendDifferencesAsync(Replica replica, SourceModel source)
    {
        int sent = 0;
        foreach ((DiskId disk, byte[] content) in source.Disks.ToArray())
        {
            byte[] there = new byte[content.Length];
            await using (ReplicaView view = (await replica.OpenNewestAsync(disk, default))!)
            {
                await view.ReadAsync(0, there, default);
            }

            for (int at = 0; at < content.Length; at += Block)
            {
                int length = Math.Min(Block, content.Length - at);
                if (!content.AsSpan(at, length).SequenceEqual(there.AsSpan(at, length)))
                {
                    await replica.AppendAsync(source.Write(disk, at, content.AsSpan(at, length).ToArray()));
                    sent++;
                }
            }
        }

        return sent;
    }

    private static async Task FinishAsync(Replica replica, SourceModel source)
    {
        await SendDifferencesAsync(replica, source);
        await replica.AppendAsync(source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await CheckAsync(replica, source);
        await replica.DisposeAsync();
    }

    /// <summary>The point reads as the source was, before it is applied and after, and after opening anew.</summary>
    private static async Task CheckAsync(Replica replica, SourceModel source)
    {
        Snapshot expected = source.TakeSnapshot() with { Definition = (await replica.GetPointAsync(source.LastPoint, default)).DefinitionXml };
        Assert.Equal(source.LastPoint, Assert.Single(replica.Points).Id);
        await replica.AssertHoldsAsync(source.LastPoint, expected);
        await replica.ApplyAsync(source.LastPoint, default);
        await replica.AssertHoldsAsync(source.LastPoint, expected);
        Assert.True((await replica.VerifyAsync(null, default)).IsWhole);
    }

    private static byte[] RandomBytes(int seed, int count)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        bytes.AsSpan(0, count / 4).Clear();
        return bytes;
    }
}
