using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Journal.Tests.Rig;

namespace Understudy.Journal.Tests;

public sealed class ReplicaTests
{
    private static readonly DiskId A = new(0);
    private static readonly DiskId B = new(1);

    [Fact]
    public async Task A_point_reads_as_the_disks_were_at_its_checkpoint_before_and_after_apply_and_reopening()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), TestRig.Spec, default);
        Dictionary<RecoveryPointId, Snapshot> points = [];
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 300 * 1024), TestRig.Disk(1, 128 * 1024)), source.SetDefinition(1));
        for (int i = 1; i <= 4; i++)
        {
            await replica.AppendAsync(
                source.Write(A, 4096 * i, Bytes(i, 70_656)),
                source.Write(B, 65536, Bytes(i + 50, 65536)),
                source.Zero(A, new ByteRange(8192 * i, 16384)),
                source.Checkpoint(TestRig.Start.AddMinutes(i)));
            points.Add(source.LastPoint, source.TakeSnapshot());
            Assert.Equal(source.Sequence, await replica.FlushAsync(default));
        }

        Assert.Equal(points.Keys, replica.Points.Select(p => p.Id));
        foreach ((RecoveryPointId id, Snapshot snapshot) in points)
        {
            await replica.AssertHoldsAsync(id, snapshot);
        }

        RecoveryPointId third = points.Keys.ElementAt(2);
        Assert.IsType<ApplyOutcome.Applied>(await replica.ApplyAsync(third, default));
        await replica.DisposeAsync();
        replica = await Replica.OpenAsync(TestRig.Environment(disk), default);
        Assert.Equal(points.Keys.Skip(2), replica.Points.Select(p => p.Id));
        await replica.AssertHoldsAsync(third, points[third]);
        await replica.AssertHoldsAsync(points.Keys.Last(), points[points.Keys.Last()]);
        Assert.True((await replica.VerifyAsync(null, default)).IsWhole);
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task A_point_is_listed_by_the_next_flush_also_when_the_end_of_a_segment_made_it_durable_before()
    {
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(new CrashDisk()), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Checkpoint(TestRig.Start));
        RecoveryPointId point = source.LastPoint;
        while (replica.FlushedSequence == 0)
        {
            await replica.AppendAsync(source.Write(A, 0, Bytes(1, 4096)));
        }

        Assert.Empty(replica.Points);
        await replica.FlushAsync(default);
        Assert.Equal(point, Assert.Single(replica.Points).Id);
    }

    [Fact]
    public async Task History_does_not_go_on_from_a_point_that_only_a_pin_keeps()
    {
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(new CrashDisk()), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Checkpoint(TestRig.Start));
        RecoveryPointId pinned = source.LastPoint;
        await replica.AppendAsync(source.Write(A, 0, Bytes(1, 4096)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await replica.AddPinAsync(pinned, "test", default);
        await replica.ApplyAsync(source.LastPoint, default);
        Assert.Equal(FaultKind.Missing, (await Assert.ThrowsAsync<StorageException>(async () => await replica.MintLineAsync(new LineId(2, 2), pinned, "test", default))).Kind);
        Assert.Equal(FaultKind.Missing, (await Assert.ThrowsAsync<StorageException>(async () => await replica.DropAfterAsync(pinned, default))).Kind);
        Assert.Equal(FaultKind.Missing, (await Assert.ThrowsAsync<StorageException>(async () => await replica.AddPinAsync(pinned, "again", default))).Kind);
        await using ReplicaView view = await replica.OpenViewAsync(pinned, A, default);
        await view.AssertReadsAsync(new byte[65536]);
    }

    /// <summary>The manifest forgot at the first saved block that the pin had been cut, and a restart showed it the other line's records.</summary>
    [Fact]
    public async Task A_pinned_point_that_was_dropped_reads_the_same_after_other_records_took_its_place_and_a_restart()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        RecoveryPointId parent = source.LastPoint;
        Snapshot atParent = source.TakeSnapshot();
        await replica.ApplyAsync(parent, default);
        await replica.AppendAsync(source.SetDefinition(1), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        RecoveryPointId pinned = source.LastPoint;
        await replica.AddPinAsync(pinned, "test", default);

        LineId line = new(2, 2);
        await replica.MintLineAsync(line, parent, "test", default);
        await replica.DropAfterAsync(parent, default);
        source.Restore(atParent, line);
        await replica.AppendAsync(source.Write(A, 0, Bytes(1, 4096)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await replica.ApplyAsync(source.LastPoint, default);
        await replica.DisposeAsync();

        replica = await Replica.OpenAsync(TestRig.Environment(disk), default);
        await using (ReplicaView view = await replica.OpenViewAsync(pinned, A, default))
        {
            await view.AssertReadsAsync(new byte[65536]);
        }

        await replica.DisposeAsync();
    }

    [Fact]
    public async Task What_is_newest_reads_as_all_that_was_flushed_be_it_a_point_or_not_and_a_joining_disk_too()
    {
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(new CrashDisk()), TestRig.Spec, default);
        Assert.Null(await replica.OpenNewestAsync(A, default));
        DiskGeometry joining = TestRig.Disk(1, 3 * 65536) with { Joining = true };
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 5 * 65536), joining), source.Write(A, 0, Bytes(1, 70_656)), source.Checkpoint(TestRig.Start));
        RecoveryPointId point = source.LastPoint;
        await replica.AppendAsync(source.Write(A, 65536, Bytes(2, 65536)), source.Write(B, 4096, Bytes(3, 4096)), source.Checkpoint(TestRig.Start, hidden: true));
        await replica.FlushAsync(default);
        await replica.AppendAsync(source.Zero(A, new ByteRange(0, 512))); // Not flushed: not there.

        byte[] a = new byte[5 * 65536];
        Bytes(1, 70_656).CopyTo(a, 0);
        Bytes(2, 65536).CopyTo(a, 65536);
        byte[] b = new byte[3 * 65536];
        Bytes(3, 4096).CopyTo(b, 4096);
        await AssertNewestAsync(replica, a, b);
        await replica.ApplyAsync(point, default); // The base moves under it.
        await AssertNewestAsync(replica, a, b);
        Assert.Null(await replica.OpenNewestAsync(new DiskId(9), default));
        Assert.Equal(0, replica.Status.OpenViews);

        // No point has the disk that joins, until a geometry says so.
        Assert.Equal([A], (await replica.GetPointAsync(point, default)).Geometry.Disks.Select(disk => disk.Disk));
        Assert.Equal(FaultKind.Missing, (await Assert.ThrowsAsync<StorageException>(async () => await replica.OpenViewAsync(point, B, default))).Kind);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 5 * 65536), joining with { Joining = false }), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await replica.ApplyAsync(source.LastPoint, default); // What came while it joined is not lost with its records.
        await using ReplicaView view = await replica.OpenViewAsync(source.LastPoint, B, default);
        await view.AssertReadsAsync(b);
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task What_is_newest_is_not_shown_while_a_failover_is_not_settled()
    {
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(new CrashDisk()), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Checkpoint(TestRig.Start));
        RecoveryPointId parent = source.LastPoint;
        await replica.AppendAsync(source.Write(A, 0, Bytes(1, 4096)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await replica.MintLineAsync(new LineId(2, 2), parent, "test", default);
        Assert.Equal(FaultKind.Denied, (await Assert.ThrowsAsync<StorageException>(async () => await replica.OpenNewestAsync(A, default))).Kind);
        await replica.DropAfterAsync(parent, default);
        await AssertNewestAsync(replica, new byte[65536]);
        await replica.DisposeAsync();
    }

    /// <summary>Both sides of a cut have minted with the same counter: the lines are in one order all the same.</summary>
    [Fact]
    public async Task Of_two_lines_with_one_counter_the_one_with_the_greater_random_part_takes_over()
    {
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(new CrashDisk()), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await replica.MintLineAsync(new LineId(2, 5), source.LastPoint, "a failover", default);
        await Assert.ThrowsAsync<ArgumentException>(async () => await replica.MintLineAsync(new LineId(2, 4), source.LastPoint, "a claim", default));
        await replica.MintLineAsync(new LineId(2, 6), source.LastPoint, "a claim", default);
        Assert.Equal(new LineId(2, 6), replica.Line);
        await replica.DisposeAsync();
    }

    private static async Task AssertNewestAsync(Replica replica, params byte[][] disks)
    {
        for (int i = 0; i < disks.Length; i++)
        {
            await using ReplicaView newest = (await replica.OpenNewestAsync(new DiskId((ushort)i), default))!;
            await newest.AssertReadsAsync(disks[i]);
        }
    }

    private static byte[] Bytes(int seed, int count)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
