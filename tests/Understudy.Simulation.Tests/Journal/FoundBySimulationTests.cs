using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;
using Understudy.Testing.Devices;

namespace Understudy.Simulation.Tests.Journal;

/// <summary>What the simulation has found, each once more by hand, named after what happened.</summary>
public sealed class FoundBySimulationTests
{
    private static readonly LineId Line = new(1, 7);

    /// <summary>The next segment got the number after the discarded one, and the gap was refused as a lost segment.</summary>
    [Fact]
    public async Task Segment_whose_creation_was_cut_short_leaves_no_gap_in_the_numbers()
    {
        var store = new MemoryFileStore();
        var options = new SegmentLogOptions
        {
            Store = store,
            Prefix = "journal/",
            Replica = new ReplicaId(new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)),
            Time = TimeProvider.System,
            Logger = NullLogger.Instance,
        };
        await using (SegmentLog log = await SegmentLog.CreateAsync(options, firstSequence: 1, default))
        {
            await AppendAsync(log);
            await log.SealAsync(default);
        }

        await using (IStoreFile torn = await store.OpenAsync("journal/0000000000000002.seg", FileOpen.New, default))
        {
            await torn.WriteAsync(0, new byte[512], default);
        }

        await using (SegmentLog log = await SegmentLog.OpenAsync(options, default))
        {
            await AppendAsync(log);
            Assert.Equal(2UL, await log.FlushAsync(default));
        }

        await using SegmentLog again = await SegmentLog.OpenAsync(options, default);
        Assert.Equal(2UL, again.FlushedSequence);
    }

    /// <summary>A closed view took away a segment that the manifest still named; the next open refused the replica.</summary>
    [Fact]
    public void Segment_that_the_manifest_names_outlives_the_view_that_needed_it_last() => ReplicaBench.Run(async bench =>
    {
        await bench.CreateAsync(async replica =>
        {
            RecoveryPoint first = await ReplicaBench.FeedAsync(replica, 1);
            ReplicaView view = await replica.OpenViewAsync(first.Id, new DiskId(0), default);
            await replica.ApplyAsync(first.Id, default);
            await replica.MintLineAsync(new LineId(2, 8), first.Id, "test", default);
            await view.DisposeAsync();
        });
        await bench.LifeAsync(async (_, environment) => Assert.Single((await Replica.OpenAsync(environment, default)).Points));
    });

    /// <summary>With the last segment applied and deleted, the manifest let an older run go on, over a gap.</summary>
    [Fact]
    public void Log_does_not_go_on_in_a_segment_that_a_pin_kept_when_later_ones_are_gone() => ReplicaBench.Run(async bench =>
    {
        await bench.CreateAsync(async replica =>
        {
            RecoveryPoint first = await ReplicaBench.FeedAsync(replica, 1);
            await replica.AddPinAsync(first.Id, "test", default);
            await replica.MintLineAsync(new LineId(2, 8), first.Id, "test", default);
            RecoveryPoint second = await ReplicaBench.FeedAsync(replica, 2);
            await replica.MintLineAsync(new LineId(3, 9), second.Id, "test", default);
            await replica.ApplyAsync(second.Id, default);
            await replica.AddPinAsync(second.Id, "test", default);
        });
        await bench.LifeAsync(async (_, environment) => Assert.Single((await Replica.OpenAsync(environment, default)).Points));
    });

    /// <summary>A kill between rename and flush, a restart that relied on the new name, then the power went: the replica was gone.</summary>
    [Fact]
    public void Manifest_that_is_found_is_made_durable_before_anything_relies_on_it()
    {
        for (int killAt = 1; killAt < 40; killAt++)
        {
            ReplicaBench.Run(async bench =>
            {
                bool created = false;
                bench.Host.Disk.OnOperation = number =>
                {
                    if (number == killAt)
                    {
                        bench.Host.Kill();
                    }
                };
                await bench.CreateAsync(_ => Task.CompletedTask);
                await bench.LifeAsync(async (_, environment) =>
                {
                    created = await TryOpenAsync(environment);
                    bench.Host.PowerLoss();
                });
                bench.Host.Boot();
                await bench.LifeAsync(async (_, environment) => Assert.True(!created || await TryOpenAsync(environment), $"killed at {killAt}"));
            });
        }
    }

    /// <summary>After a failover to an older point, retention applied a newer one of the old line and lost the owner's.</summary>
    [Fact]
    public void Nothing_after_the_point_where_the_line_begins_is_applied() => ReplicaBench.Run(bench => bench.CreateAsync(async replica =>
    {
        RecoveryPoint parent = await ReplicaBench.FeedAsync(replica, 1);
        RecoveryPoint newer = await ReplicaBench.FeedAsync(replica, 2);
        await replica.MintLineAsync(new LineId(2, 8), parent.Id, "test", default);
        Assert.Equal(new ApplyOutcome.Diverged(parent.Id), await replica.ApplyAsync(newer.Id, default));
        Assert.IsType<DropOutcome.Dropped>(await replica.DropAfterAsync(parent.Id, default));
        Assert.Equal([parent], replica.Points);
    }));

    /// <summary>A pinned point can be read after apply has passed it; a line that began there would have had a base of its future.</summary>
    [Fact]
    public void Line_begins_only_at_a_point_that_the_base_is_not_past() => ReplicaBench.Run(bench => bench.CreateAsync(async replica =>
    {
        RecoveryPoint pinned = await ReplicaBench.FeedAsync(replica, 1);
        RecoveryPoint newer = await ReplicaBench.FeedAsync(replica, 2);
        await replica.AddPinAsync(pinned.Id, "test", default);
        await replica.ApplyAsync(newer.Id, default);
        StorageException minted = await Assert.ThrowsAsync<StorageException>(async () => await replica.MintLineAsync(new LineId(2, 8), pinned.Id, "test", default));
        StorageException dropped = await Assert.ThrowsAsync<StorageException>(async () => await replica.DropAfterAsync(pinned.Id, default));
        Assert.Equal((FaultKind.Missing, FaultKind.Missing), (minted.Kind, dropped.Kind));
    }));

    private static async Task<bool> TryOpenAsync(ReplicaEnvironment environment)
    {
        try
        {
            await Replica.OpenAsync(environment, default);
            return true;
        }
        catch (StorageException missing) when (missing.Kind == FaultKind.Missing)
        {
            return false;
        }
    }

    private static async Task AppendAsync(SegmentLog log)
    {
        using var codec = new RecordCodec();
        byte[] record = new byte[RecordHeader.SizeBytes + 512];
        int size = codec.EncodeData(Line, log.ReceivedSequence + 1, new DiskId(0), 0, new byte[512], record);
        Assert.Equal(RecordDefect.None, RecordHeader.Read(record, out RecordHeader header));
        await log.AppendAsync(header, record.AsMemory(0, size), default);
    }
}
