using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Journal.Tests.Rig;

namespace Understudy.Journal.Tests;

public sealed class RetentionPlanTests
{
    public static TheoryData<string, int, int?> Cases => new()
    {
        // Minutes before now of each point, oldest first; the window in minutes; the index of the point that becomes oldest.
        { "", 60, null },
        { "", 0, null },
        { "30", 60, 0 },
        { "90 30 10", 0, 2 },
        { "90 70 30 10", 60, 1 }, // Every moment of the last hour is reached from the point at 70.
        { "90 60 30", 60, 0 }, // The window ends at the newest point: nothing goes because time alone has passed.
        { "50 40 30", 60, 0 },
        { "300 200 100", 60, 1 },
        { "100000 99990 99980", 60, 0 }, // A source that has been down for weeks keeps its history.
        { "90 10 80 5", 60, 0 }, // The clock was set back: the point at 10 may be as young as it looks.
        { "90 -30 -10", 60, 0 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Oldest_is_the_newest_point_that_still_covers_the_whole_window(string minutesAgo, int windowMinutes, int? expected)
    {
        DateTimeOffset now = TestRig.Start.AddDays(1);
        RecoveryPoint[] points = [.. minutesAgo.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((m, i) => new RecoveryPoint(
            new RecoveryPointId(TestRig.Line1, (ulong)i + 1), PointKind.Crash, now.AddMinutes(-int.Parse(m, null)), ""))];
        RecoveryPoint? oldest = RetentionPlan.ChooseOldest(points, now, TimeSpan.FromMinutes(windowMinutes));
        Assert.Equal(expected is { } index ? points[index] : null, oldest);
    }

    [Fact]
    public async Task Retention_moves_the_base_and_keeps_the_window_readable()
    {
        FixedTime time = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(new CrashDisk(), time: time), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)));
        Dictionary<RecoveryPointId, Snapshot> points = [];
        for (int i = 0; i < 6; i++)
        {
            time.Now += TimeSpan.FromMinutes(10);
            await replica.AppendAsync(source.Write(new DiskId(0), 512 * i, Enumerable.Repeat((byte)(i + 1), 512).ToArray()), source.Checkpoint(time.Now));
            await replica.FlushAsync(default);
            points.Add(source.LastPoint, source.TakeSnapshot());
        }

        Assert.IsType<ApplyOutcome.Applied>(await replica.ApplyRetentionAsync(TimeSpan.FromMinutes(25), default));
        Assert.Equal(points.Keys.Skip(2), replica.Points.Select(p => p.Id));
        foreach ((RecoveryPointId id, Snapshot snapshot) in points.Skip(2))
        {
            await replica.AssertHoldsAsync(id, snapshot);
        }

        Assert.IsType<ApplyOutcome.NothingToDo>(await replica.ApplyRetentionAsync(TimeSpan.FromMinutes(25), default));
        await replica.ApplyRetentionAsync(TimeSpan.Zero, default);
        Assert.Equal(points.Keys.Last(), Assert.Single(replica.Points).Id);
        await replica.DisposeAsync();
    }
}
