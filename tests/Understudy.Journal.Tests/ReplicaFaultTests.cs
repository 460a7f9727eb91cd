using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Tests.Rig;

namespace Understudy.Journal.Tests;

/// <summary>Disks that fail, fill up, or are read in the middle of everything.</summary>
public sealed class ReplicaFaultTests
{
    private static readonly DiskId A = new(0);

    [Fact]
    public async Task Views_of_points_on_both_sides_of_an_apply_read_right_at_every_one_of_its_steps()
    {
        (CrashDisk disk, Replica replica, List<(RecoveryPointId Id, Snapshot Snapshot)> points) = await MakeAsync(5);
        List<(ReplicaView View, byte[] Content)> views = [];
        foreach ((RecoveryPointId id, Snapshot snapshot) in points)
        {
            views.Add((await replica.OpenViewAsync(id, A, default), snapshot.Disks[A]));
        }

        int steps = 0;
        disk.BeforeChange = _ =>
        {
            steps++;
            foreach ((ReplicaView view, byte[] content) in views)
            {
                Assert.True(view.AssertReadsAsync(content).IsCompletedSuccessfully, $"view of {view.Point.Sequence} at step {steps}");
            }
        };
        foreach ((RecoveryPointId id, _) in points)
        {
            await replica.ApplyAsync(id, default);
        }

        disk.BeforeChange = null;
        Assert.True(steps > 50);
        foreach ((ReplicaView view, byte[] content) in views)
        {
            await view.AssertReadsAsync(content);
            await view.DisposeAsync();
        }

        Assert.Equal(0, replica.Status.PreImageBytes);
        Assert.Empty(await disk.ListAsync("pins", default));
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task A_half_written_base_block_makes_its_reader_wait_for_the_writer()
    {
        (CrashDisk disk, Replica replica, List<(RecoveryPointId Id, Snapshot Snapshot)> points) = await MakeAsync(2);
        await replica.ApplyAsync(points[0].Id, default);
        await using ReplicaView view = await replica.OpenViewAsync(points[1].Id, A, default);
        Task? reading = null;
        disk.BeforeChange = change =>
        {
            if (reading is null && change is CrashDisk.Change.Write w && w.File == disk.Names["image-0"])
            {
                w.File.Write(w.Offset, w.Data.AsSpan(0, w.Data.Length / 3));
                reading = view.AssertReadsAsync(points[1].Snapshot.Disks[A]);
                Assert.False(reading.IsCompleted);
            }
        };
        await replica.ApplyAsync(points[1].Id, default);
        Assert.NotNull(reading);
        await reading;
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task After_a_failed_flush_of_the_base_the_image_is_opened_anew_and_the_batch_done_again()
    {
        (CrashDisk disk, Replica replica, List<(RecoveryPointId Id, Snapshot Snapshot)> points) = await MakeAsync(3);
        PinId pin = await replica.AddPinAsync(points[0].Id, "test", default);
        int flushes = 0;
        disk.BeforeChange = change =>
        {
            if (change is CrashDisk.Change.Flush f && f.File == disk.Names.GetValueOrDefault("image-0") && ++flushes == 2)
            {
                f.File.Content[131_072..140_000].Clear(); // The write was lost with the flush.
                throw new StorageException(FaultKind.FlushFailed, "image-0", "the disk is gone for a moment");
            }
        };
        StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await replica.ApplyAsync(points[2].Id, default));
        Assert.Equal(FaultKind.FlushFailed, fault.Kind);
        Assert.Equal(points[2].Id, replica.Status.ApplyingTo);
        Assert.Equal([points[2].Id], replica.Points.Select(p => p.Id)); // The older ones are not promised any more.
        disk.BeforeChange = null;

        Assert.IsType<ApplyOutcome.Applied>(await replica.ApplyRetentionAsync(TimeSpan.Zero, default));
        Assert.Null(replica.Status.ApplyingTo);
        await replica.AssertHoldsAsync(points[2].Id, points[2].Snapshot);
        await replica.AssertHoldsAsync(points[0].Id, points[0].Snapshot);
        Assert.True((await replica.VerifyAsync(null, default)).IsWhole);
        await replica.RemovePinAsync(pin, default);
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task A_failed_flush_of_the_journal_ends_the_replica_until_it_is_opened_anew()
    {
        (CrashDisk disk, Replica replica, List<(RecoveryPointId Id, Snapshot Snapshot)> points) = await MakeAsync(1);
        SourceModel source = new(TestRig.Line1);
        source.Restore(points[0].Snapshot, TestRig.Line1);
        await replica.AppendAsync(source.Write(A, 0, new byte[512]), source.Checkpoint(TestRig.Start));
        disk.BeforeChange = change =>
        {
            if (change is CrashDisk.Change.Flush)
            {
                throw new StorageException(FaultKind.FlushFailed, "journal", "the disk is gone");
            }
        };
        await Assert.ThrowsAsync<StorageException>(async () => await replica.FlushAsync(default));
        disk.BeforeChange = null;
        Assert.Equal(points[0].Snapshot.Sequence, replica.FlushedSequence);
        await Assert.ThrowsAsync<StorageException>(async () => await replica.FlushAsync(default));
        await Assert.ThrowsAsync<StorageException>(async () => await replica.AppendAsync(source.Checkpoint(TestRig.Start), default));
        await replica.DisposeAsync();

        replica = await Replica.OpenAsync(TestRig.Environment(disk), default);
        Assert.Equal(2, replica.Points.Count);
        await replica.AssertHoldsAsync(points[0].Id, points[0].Snapshot);
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task Whatever_write_finds_the_disk_full_nothing_is_lost_and_everything_goes_on_when_there_is_space()
    {
        bool wasFull = true;
        for (int full = 0; wasFull; full++)
        {
            CrashDisk disk = new();
            SourceModel source = new(TestRig.Line1);
            Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), TestRig.Spec, default);
            int writes = 0;
            wasFull = false;
            disk.BeforeChange = change =>
            {
                if (change is CrashDisk.Change.Write && writes++ == full)
                {
                    wasFull = true;
                    throw new StorageException(FaultKind.Full, "disk", "no space left");
                }
            };
            List<(RecoveryPointId Id, Snapshot Snapshot)> points = [];
            await InsistAsync(replica, source.SetGeometry(TestRig.Disk(0, 4 * 65536)));
            for (int i = 0; i < 3; i++)
            {
                await InsistAsync(replica, source.Write(A, 60_000 / 512 * 512, Bytes(i, 40_960)));
                await InsistAsync(replica, source.Write(A, 65536 * i, Bytes(9 + i, 65536)));
                await InsistAsync(replica, source.Checkpoint(TestRig.Start));
                points.Add((source.LastPoint, source.TakeSnapshot()));
                await InsistAsync(() => replica.FlushAsync(default));
            }

            await InsistAsync(() => replica.AddPinAsync(points[0].Id, "test", default));
            await InsistAsync(() => replica.ApplyAsync(points[1].Id, default));
            await InsistAsync(() => replica.ApplyAsync(points[2].Id, default));
            disk.BeforeChange = null;
            await replica.DisposeAsync();
            replica = await Replica.OpenAsync(TestRig.Environment(disk), default);
            await replica.AssertHoldsAsync(points[2].Id, points[2].Snapshot);
            await replica.AssertHoldsAsync(points[0].Id, points[0].Snapshot);
            await replica.DisposeAsync();
        }
    }

    /// <summary>What had been written for the first pin was in no view yet, and counted as saved when apply was tried again: the base
    /// was overwritten under it.</summary>
    [Fact]
    public async Task A_block_that_was_saved_for_one_of_two_pins_when_the_disk_was_full_is_still_read_as_it_was()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Write(A, 0, Bytes(1, 4096)), source.Checkpoint(TestRig.Start));
        (RecoveryPointId pinned, byte[] before) = (source.LastPoint, [.. source.TakeSnapshot().Disks[A]]);
        await replica.FlushAsync(default);
        await replica.ApplyAsync(pinned, default);
        await replica.AddPinAsync(pinned, "one", default);
        await replica.AddPinAsync(pinned, "two", default);
        await replica.AppendAsync(source.Write(A, 0, Bytes(2, 4096)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        int files = 0;
        disk.BeforeChange = change =>
        {
            files += change is CrashDisk.Change.Link { Name: var name } && name.StartsWith("pins/", StringComparison.Ordinal) ? 1 : 0;
            if (files == 3 && change is CrashDisk.Change.Write) // each pin has two
            {
                throw new StorageException(FaultKind.Full, "disk", "no space left");
            }
        };
        Assert.Equal(FaultKind.Full, (await Assert.ThrowsAsync<StorageException>(async () => await replica.ApplyAsync(source.LastPoint, default))).Kind);
        disk.BeforeChange = null;

        Assert.IsType<ApplyOutcome.Applied>(await replica.ApplyAsync(source.LastPoint, default));

        await using (ReplicaView view = await replica.OpenViewAsync(pinned, A, default))
        {
            await view.AssertReadsAsync(before);
        }

        await replica.DisposeAsync();
    }

    /// <summary>Its sums came back with a power loss, beside no replica, and no other could be made in that folder.</summary>
    [Fact]
    public async Task A_removal_that_goes_on_where_another_has_died_makes_the_deletions_of_that_one_durable()
    {
        (CrashDisk disk, Replica replica, List<(RecoveryPointId Id, Snapshot Snapshot)> points) = await MakeAsync(2);
        await replica.ApplyAsync(points[1].Id, default);
        await replica.DisposeAsync();
        disk.BeforeChange = change =>
        {
            if (change is CrashDisk.Change.FlushFolder { Folder: "base" })
            {
                throw new InvalidOperationException("killed");
            }
        };
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await Replica.DeleteAsync(TestRig.Environment(disk), default));
        disk.BeforeChange = null;
        int before = disk.Changes.Count;

        await Replica.DeleteAsync(TestRig.Environment(disk), default);

        List<CrashDisk.Change> since = disk.Changes[before..];
        int flushed = since.FindIndex(change => change is CrashDisk.Change.FlushFolder { Folder: "base" });
        Assert.InRange(flushed, 0, since.FindIndex(change => change is CrashDisk.Change.Unlink { Name: "manifest" }));
    }

    private static async Task InsistAsync(Replica replica, byte[] record)
    {
        AppendOutcome outcome = await replica.AppendAsync(record, default);
        if (outcome is AppendOutcome.Full)
        {
            outcome = await replica.AppendAsync(record, default);
        }

        Assert.IsType<AppendOutcome.Accepted>(outcome);
    }

    private static async Task InsistAsync<T>(Func<ValueTask<T>> act)
    {
        try
        {
            await act();
        }
        catch (StorageException e) when (e.Kind == FaultKind.Full)
        {
            await act();
        }
    }

    private static async Task<(CrashDisk, Replica, List<(RecoveryPointId Id, Snapshot Snapshot)>)> MakeAsync(int count)
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 4 * 65536)));
        List<(RecoveryPointId, Snapshot)> points = [];
        for (int i = 1; i <= count; i++)
        {
            await replica.AppendAsync(
                source.Write(A, 4096, Bytes(i, 512)),
                source.Write(A, 60_416 + (512 * i), Bytes(i + 20, 81_920)),
                source.Zero(A, new ByteRange(200_704 + (4096 * i), 8192)),
                source.Checkpoint(TestRig.Start.AddMinutes(i)));
            points.Add((source.LastPoint, source.TakeSnapshot()));
            await replica.FlushAsync(default);
        }

        return (disk, replica, points);
    }

    private static byte[] Bytes(int seed, int count)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
