using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Tests.Rig;

/// <summary>Opens what a crash has left and compares it with what was promised before, and with what it can become.</summary>
internal sealed class CrashChecker(ReplicaScript script, ReplicaSettings? settings = null)
{
    public async Task CheckAsync(CrashDisk found, int changes)
    {
        Expectation before = script.Expectations.Last(e => e.Changes <= changes);
        Expectation after = script.Expectations.FirstOrDefault(e => e.Changes > changes) ?? before;
        await CheckUnwrittenAsync(found, before, after);
        Replica replica = await Replica.OpenAsync(TestRig.Environment(found, settings), default);
        CheckPosition(replica, before, after);
        await CheckPointsAsync(replica, before, after);
        await CheckDivergenceAsync(replica, changes, before, after);
        await ContinueAsync(replica, found, before.Pins.Where(p => after.Pins.ContainsKey(p.Key)).Select(p => p.Value));
    }

    /// <summary>Everything can be read too where nothing may be written (FO-8: the folder alone), and nothing is.</summary>
    private async Task CheckUnwrittenAsync(CrashDisk found, Expectation before, Expectation after)
    {
        int changes = found.Changes.Count;
        await using UnwrittenBases bases = new(found);
        await using UnwrittenStore store = new(found);
        ReplicaEnvironment environment = TestRig.Environment(found, settings) with { Store = store, Bases = bases };
        Replica replica = await Replica.OpenAsync(environment, default);
        await CheckPointsAsync(replica, before, after);
        await replica.DisposeAsync();
        Assert.Equal(changes, found.Changes.Count);
    }

    private static void CheckPosition(Replica replica, Expectation before, Expectation after)
    {
        Assert.True(replica.Line == before.Line || replica.Line == after.Line, $"line {replica.Line}");
        ulong acknowledged = Math.Min(before.Acknowledged, after.Acknowledged);
        Assert.True(replica.FlushedSequence >= acknowledged, $"acknowledged {acknowledged}, found {replica.FlushedSequence}");
        Assert.Equal(replica.ReceivedSequence, replica.FlushedSequence);
    }

    private async Task CheckPointsAsync(Replica replica, Expectation before, Expectation after)
    {
        HashSet<RecoveryPointId> listed = [.. replica.Points.Select(p => p.Id)];
        Assert.Superset(before.Listed.Intersect(after.Listed).ToHashSet(), listed);
        Assert.Subset(before.Known.Union(after.Known).ToHashSet(), listed);
        foreach (RecoveryPointId point in listed)
        {
            await replica.AssertHoldsAsync(point, script.Snapshots[point]);
        }

        foreach ((PinId pin, RecoveryPointId point) in before.Pins.Where(p => after.Pins.ContainsKey(p.Key)))
        {
            Assert.Contains(replica.Status.Pins, p => p.Id == pin);
            await replica.AssertHoldsAsync(point, script.Snapshots[point]);
        }
    }

    private async Task CheckDivergenceAsync(Replica replica, int changes, Expectation before, Expectation after)
    {
        bool dropped = replica.ReceivedSequence < before.Acknowledged;
        foreach ((int at, RecoveryPointId parent, Dictionary<DiskId, ExtentSet> extents) in script.Drops)
        {
            if (at <= changes || (dropped && at <= after.Changes))
            {
                IReadOnlyDictionary<DiskId, ExtentSet> noted = await replica.ReadDivergenceAsync(parent, default);
                foreach ((DiskId disk, ExtentSet set) in extents)
                {
                    Assert.All(set, range => Assert.True(noted[disk].Contains(range), $"{range} of disk {disk} was dropped and is not noted"));
                }
            }
        }
    }

    /// <summary>What was recovered can be gone on with: appended to, applied, and its pins still hold.</summary>
    private async Task ContinueAsync(Replica replica, CrashDisk found, IEnumerable<RecoveryPointId> pinned)
    {
        LineHistory line = replica.Status.Lines[^1];
        if (line.Parent is { } parent && replica.ReceivedSequence > parent.Sequence && replica.Points is [.., var newest] && newest.Id != parent
            && newest.Id.Line != replica.Line)
        {
            foreach (PinStatus pin in replica.Status.Pins.Where(p => p.Point.Sequence > parent.Sequence))
            {
                await replica.RemovePinAsync(pin.Id, default);
            }

            pinned = pinned.Where(p => p.Sequence <= parent.Sequence);
            Assert.IsType<DropOutcome.Dropped>(await replica.DropAfterAsync(parent, default));
        }

        SourceModel source = new(replica.Line) { Sequence = replica.ReceivedSequence };
        await replica.AppendAsync(
            source.SetGeometry(TestRig.Disk(0, 8 * 65536), TestRig.Disk(3, 8 * 65536)), // as large as the script makes a disk: none shrinks
            source.SetDefinition(4711),
            source.Zero(new DiskId(0), new ByteRange(0, 8 * 65536)),
            source.Write(new DiskId(0), 65536 - 512, new byte[] { 1, 2, 3, 4 }.Concat(new byte[1020]).ToArray()),
            source.Write(new DiskId(3), 0, Enumerable.Repeat((byte)7, 8 * 65536).ToArray()),
            source.Checkpoint(TestRig.Start.AddDays(1)));
        Snapshot snapshot = source.TakeSnapshot();
        Assert.Equal(source.Sequence, await replica.FlushAsync(default));
        await replica.AssertHoldsAsync(source.LastPoint, snapshot);
        await replica.ApplyAsync(source.LastPoint, default);
        await replica.DisposeAsync();

        Replica again = await Replica.OpenAsync(TestRig.Environment(found, settings), default);
        Assert.Equal([source.LastPoint], again.Points.Select(p => p.Id));
        await again.AssertHoldsAsync(source.LastPoint, snapshot);
        foreach (RecoveryPointId point in pinned)
        {
            await again.AssertHoldsAsync(point, script.Snapshots[point]);
        }

        if (again.Status.Pins.Count == 0)
        {
            Assert.Equal(["image-0", "image-3"], (await found.ListAsync("", default)).Select(file => file.Name).Where(name => name.StartsWith("image-", StringComparison.Ordinal)));
            Assert.Equal(["base/disk-0.sums", "base/disk-3.sums"], (await found.ListAsync("base", default)).Select(file => file.Name));
        }

        VerifyReport report = await again.VerifyAsync(null, default);
        Assert.True(report.IsWhole, string.Join("; ", report.Damages.Select(d => d.What)));
        await again.DisposeAsync();
    }
}
