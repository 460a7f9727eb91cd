using Understudy.Blocks.Identity;
using Understudy.Protection.Source;
using Understudy.Testing;

namespace Understudy.Protection.Tests.Source;

public sealed class SourceRulesTests
{
    [Theory]
    [InlineData(10, 10, true, 10, "Resume")] // nothing pending, it stands where we thought
    [InlineData(10, 15, true, 10, "Resume")] // pending 11 to 15, none of it there
    [InlineData(10, 15, true, 12, "Resume")]
    [InlineData(10, 15, true, 15, "Resume")] // all of it there, the acknowledgement was lost
    [InlineData(10, 15, true, 16, "TargetAhead")]
    [InlineData(10, 15, true, 9, "TargetLost")]
    [InlineData(10, 15, false, 10, "Learn")] // given up
    [InlineData(10, 15, false, 13, "Learn")]
    [InlineData(10, 15, false, 16, "TargetAhead")]
    [InlineData(10, 15, false, 9, "TargetLost")]
    [InlineData(0, 0, false, 0, "Learn")] // a new protection of an empty replica
    [InlineData(0, 0, false, 7, "TargetAhead")] // a new protection of a replica that has something
    public void Flushed_sequence_means(ulong acknowledged, ulong used, bool known, ulong flushed, string meaning)
    {
        SourceState state = New() with { AcknowledgedSequence = acknowledged, UsedSequence = used, SequenceKnown = known };
        Assert.Equal(meaning, ReconciliationRules.Decide(state, flushed).ToString());
    }

    [Fact]
    public void Next_step_for_every_combination()
    {
        for (int bits = 0; bits < 1 << 11; bits++)
        {
            int given = bits;
            bool Bit(int number) => (given & (1 << number)) != 0;
            (bool pending, bool known, bool copying, bool begun, bool paused) = (Bit(0), Bit(1), Bit(2), Bit(3), Bit(4));
            (bool recovered, bool due, bool early, bool connected, bool final, bool lacks) = (Bit(5), Bit(6), Bit(7), Bit(8), Bit(9), Bit(10));
            SourceState state = New() with
            {
                Pending = pending ? Cycle(1, 5) : null,
                SequenceKnown = known,
                Copy = copying ? New().Copy : null,
                Disks = copying ? New().Disks : Whole(),
                Checkpoint = begun || !copying ? "us-1" : null,
                PausedBy = paused ? "somebody" : null,
            };
            SourceStep rest = connected ? SourceStep.Wait : SourceStep.Contact; // a session stands also while nothing is sent
            foreach (SourceHold hold in Enum.GetValues<SourceHold>())
            {
                SourceStep expected =
                    !recovered ? SourceStep.Recover
                    : hold == SourceHold.OwnedAnew ? SourceStep.TakeOver
                    : hold == SourceHold.Away ? SourceStep.Contact // nothing is cut or sent that is not owned here
                    : pending ? SourceStep.Deliver // never a second cut over an undelivered one
                    : !known ? SourceStep.AskTarget // never a record without a number the target agrees with
                    : final ? (lacks ? SourceStep.Compare : SourceStep.Cut) // of the VM that is off, paused or not
                    : paused ? rest
                    : copying && early && !begun ? rest // the first copy has a time of its own
                    : copying | due ? (lacks ? SourceStep.Compare : SourceStep.Cut) // no capture waits for the network
                    : rest;
                Assert.Equal(expected, SourceSteps.Next(state, new SourceSituation(recovered, hold, due, early, connected, final, lacks)));
            }
        }
    }

    [Fact]
    public void A_disk_that_joins_is_copied_slice_after_slice_though_no_point_is_due()
    {
        SourceState state = New() with { SequenceKnown = true, Copy = null, Disks = [Whole()[0], New().Disks[1] with { Joining = true }] };
        Assert.Equal(SourceStep.Cut, SourceSteps.Next(state, new SourceSituation(true, SourceHold.Owned, false, false, true, false, false)));
    }

    [Fact]
    public void Pauses_grow_to_half_an_hour_and_start_again_after_progress()
    {
        RetryPauses pauses = new(new SeededIdSource(1));
        double[] minutes = [1, 2, 4, 8, 10, 30, 30, 30];
        Assert.InRange(pauses.Next().TotalSeconds, 1, 1.1);
        foreach (double expected in minutes)
        {
            Assert.InRange(pauses.Next().TotalMinutes, expected, expected * 1.1);
        }

        pauses.Progress();
        Assert.InRange(pauses.Next().TotalSeconds, 1, 1.1);
    }

    [Fact]
    public void Checkpoint_names_are_ordered_and_known_as_this_replicas_own()
    {
        ReplicaId mine = new(Guid.Parse("0a1b2c3d-0000-0000-0000-000000000000"));
        ReplicaId other = new(Guid.Parse("ffffffff-0000-0000-0000-000000000000"));
        string name = CheckpointNames.Make(mine, 1_764_000_000_123);
        Assert.Equal("us-0a1b2c3d-1764000000123", name);
        Assert.Equal(1_764_000_000_123, CheckpointNames.MillisecondsOf(mine, name));
        Assert.Null(CheckpointNames.MillisecondsOf(other, name));
        Assert.Null(CheckpointNames.MillisecondsOf(mine, "us-0a1b2c3d-mine"));
        Assert.Null(CheckpointNames.MillisecondsOf(mine, "before-upgrade"));
        Assert.True(string.CompareOrdinal(CheckpointNames.Make(mine, 999), name) < 0);
    }

    [Fact]
    public void Late_cuts_are_counted_by_whole_frequencies()
    {
        SourceStatistics statistics = new();
        TimeSpan frequency = TimeSpan.FromSeconds(15);
        statistics.CutMade(TimeSpan.FromSeconds(14), frequency);
        Assert.Equal(0, statistics.Missed);
        statistics.CutMade(TimeSpan.FromSeconds(46), frequency);
        Assert.Equal(3, statistics.Missed);
        statistics.CutMade(TimeSpan.FromSeconds(-1), frequency);
        Assert.Equal(3, statistics.Missed);
    }

    [Fact]
    public void Link_that_cannot_hold_the_vm_is_said_with_the_numbers()
    {
        SourceStatistics statistics = new();
        statistics.CycleDelivered(10_000_000, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(10));
        statistics.Changed(500_000, TimeSpan.FromSeconds(1));
        Assert.Null(statistics.LinkWarning(copying: true));
        for (int i = 0; i < 50; i++)
        {
            statistics.Changed(3_000_000, TimeSpan.FromSeconds(1));
        }

        string warning = Assert.IsType<string>(statistics.LinkWarning(copying: false));
        Assert.Contains("the link carries 1.0 MB/s", warning, StringComparison.Ordinal);
        Assert.Contains("the VM changes 3.0 MB/s", warning, StringComparison.Ordinal);
    }

    internal static SourceSpec Spec { get; } = new(
        new ReplicaId(Guid.Parse("0a1b2c3d-0000-0000-0000-000000000000")),
        new VmId(Guid.Parse("11111111-0000-0000-0000-000000000000")),
        "app",
        new LineId(1, 2));

    internal static IReadOnlyList<DiskNow> Now { get; } = [new("vda", 10 * 65536), new("vdb", (4 * 65536) + 512)];

    internal static SourceState New() => SourceTransitions.New(Spec, Now);

    /// <summary>The two disks with this much of them at the target, the rest of them virgin ground.</summary>
    internal static SourceDisk[] Copied(long first, long second) => [New().Disks[0].CopiedTo(first), New().Disks[1].CopiedTo(second)];

    internal static SourceDisk[] Whole() => Copied(Now[0].SizeBytes, Now[1].SizeBytes);

    internal static PendingCycle Cycle(ulong first, ulong last, IReadOnlyList<SourceDisk>? disks = null, bool listed = true) =>
        new($"us-{last}", DateTimeOffset.UnixEpoch, listed, first, last, 1, 1, 1000, disks ?? Whole(), default, true, "hash", CutPurpose.Timetable);
}
