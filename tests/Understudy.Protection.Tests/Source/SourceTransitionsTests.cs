using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Source;
using static Understudy.Protection.Tests.Source.SourceRulesTests;

namespace Understudy.Protection.Tests.Source;

public sealed class SourceTransitionsTests
{
    private static readonly SourceDisk[] Half = Copied(5 * 65536, 0);

    [Fact]
    public void Acknowledged_slice_moves_the_copy_and_becomes_what_changes_are_counted_from()
    {
        SourceState state = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Half, listed: false)));
        Assert.Equal(("us-5", 5ul, 5ul), (state.Checkpoint, state.AcknowledgedSequence, state.UsedSequence));
        Assert.Equal(new CopyState(CopyKind.First), state.Copy);
        Assert.Equal(Half, state.Disks);
        Assert.Equal((true, "hash", null), (state.GeometrySent, state.DefinitionHash, state.LastPoint));
        Assert.Null(state.Pending);
    }

    [Fact]
    public void Last_slice_ends_the_copy_and_makes_the_first_point()
    {
        SourceState state = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5)));
        Assert.Null(state.Copy);
        Assert.False(state.IsCopying);
        Assert.Equal(5ul, state.LastPoint?.Sequence);
    }

    [Fact]
    public void Given_up_slice_is_no_virgin_ground_and_its_numbers_are_unsure()
    {
        SourceState state = SourceTransitions.GiveUp(Cut(Known(New()), Cycle(1, 5, Half, listed: false)));
        Assert.Equal([(0, 5 * 65536), (0, 0)], state.Disks.Select(disk => (disk.CopiedBytes, disk.VirginFromBytes)));
        Assert.Equal(new CopyState(CopyKind.First), state.Copy);
        Assert.Equal((false, 0ul, 5ul, null), (state.SequenceKnown, state.AcknowledgedSequence, state.UsedSequence, state.Checkpoint));
        Assert.False(state.GeometrySent);

        SourceState learnt = SourceTransitions.SequenceLearnt(state, 3);
        Assert.Equal((true, 3ul, 3ul), (learnt.SequenceKnown, learnt.AcknowledgedSequence, learnt.UsedSequence));
    }

    [Fact]
    public void Given_up_cycle_keeps_the_older_checkpoint_and_the_points()
    {
        SourceState before = Protected();
        SourceState state = SourceTransitions.GiveUp(Cut(before, Cycle(6, 9)));
        Assert.Equal((before.Checkpoint, before.LastPoint, 5ul, 9ul), (state.Checkpoint, state.LastPoint, state.AcknowledgedSequence, state.UsedSequence));
        Assert.Null(state.Copy);
    }

    [Fact]
    public void Given_up_cycle_with_a_geometry_sends_it_again_whatever_the_target_has_of_it()
    {
        Assert.False(SourceTransitions.GiveUp(Cut(Protected(), Cycle(6, 9))).GeometrySent);
        Assert.True(SourceTransitions.GiveUp(Cut(Protected(), Cycle(6, 9) with { CarriesGeometry = false })).GeometrySent);
    }

    [Fact]
    public void Resynchronisation_starts_at_the_start_and_keeps_the_last_point_and_what_never_was_sent()
    {
        SourceState before = Protected();
        SourceState state = SourceTransitions.Resynchronise(before, "tracking lost", targetIsKnown: true);
        Assert.Equal(new CopyState(CopyKind.Resynchronisation, "tracking lost"), state.Copy);
        Assert.Equal(before.Disks.Select(disk => (0L, disk.SizeBytes)), state.Disks.Select(disk => (disk.CopiedBytes, disk.VirginFromBytes)));
        Assert.Equal((null, null), (state.Checkpoint, state.DefinitionHash));
        Assert.Equal((before.LastPoint, true), (state.LastPoint, state.SequenceKnown));

        SourceState half = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Half, listed: false)));
        state = SourceTransitions.Resynchronise(half, "x", targetIsKnown: true);
        Assert.Equal(CopyKind.First, state.Copy?.Kind);
        Assert.Equal([5L * 65536, 0], state.Disks.Select(disk => disk.VirginFromBytes));
    }

    [Fact]
    public void Target_that_lost_something_has_no_virgin_ground_however_much_the_disk_grows()
    {
        SourceState state = SourceTransitions.Resynchronise(Protected(), "x", targetIsKnown: false);
        Assert.All(state.Disks, disk => Assert.Equal(SourceDisk.Nowhere, disk.GrownTo(1 << 30).VirginFromBytes));
        Assert.False(state.GeometrySent);
    }

    [Fact]
    public void Resynchronisation_over_a_pending_cycle_gives_that_up()
    {
        SourceState state = SourceTransitions.Resynchronise(Cut(Known(New()), Cycle(1, 5, Half, listed: false)), "x", targetIsKnown: true);
        Assert.Null(state.Pending);
        Assert.False(state.SequenceKnown);
    }

    [Fact]
    public void Newer_line_that_goes_on_from_the_last_point_keeps_the_tracking()
    {
        SourceState before = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Whole())));
        SourceState state = SourceTransitions.GoOnAs(before, Third, before.LastPoint!.Id);
        Assert.Equal((Third, "us-5", 5ul, 5ul, false), (state.Spec.Line, state.Checkpoint, state.AcknowledgedSequence, state.UsedSequence, state.SequenceKnown));
        Assert.Equal((null, before.LastPoint, true), (state.Copy, state.LastPoint, state.GeometrySent));

        // And once more, with nothing sent in between.
        SourceState again = SourceTransitions.GoOnAs(state, new LineId(5, 1), before.LastPoint.Id);
        Assert.Equal(("us-5", null), (again.Checkpoint, again.Copy));
    }

    [Fact]
    public void Newer_line_that_goes_on_from_the_cycle_whose_answer_was_lost_takes_that_as_acknowledged()
    {
        SourceState before = Cut(SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Whole()))), Cycle(6, 9));
        SourceState state = SourceTransitions.GoOnAs(before, Third, new RecoveryPointId(Spec.Line, 9));
        Assert.Equal(("us-9", 9ul, null, null), (state.Checkpoint, state.AcknowledgedSequence, state.Copy, state.Pending));
    }

    [Fact]
    public void Newer_line_gives_up_what_was_not_delivered_and_counts_from_the_point_before()
    {
        SourceState before = Cut(SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Whole()))), Cycle(6, 9));
        SourceState state = SourceTransitions.GoOnAs(before, Third, new RecoveryPointId(Spec.Line, 5));
        Assert.Equal(("us-5", 5ul, 5ul, null, null), (state.Checkpoint, state.AcknowledgedSequence, state.UsedSequence, state.Copy, state.Pending));
    }

    [Theory]
    [InlineData(3)] // an older point: what came after it is gone at the target
    [InlineData(7)] // a point this side never made
    public void Newer_line_that_goes_on_from_any_other_point_compares_everything(ulong sequence)
    {
        SourceState before = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Whole())));
        SourceState state = SourceTransitions.GoOnAs(before, Third, new RecoveryPointId(Spec.Line, sequence));
        Assert.Equal((null, CopyKind.Resynchronisation, sequence), (state.Checkpoint, state.Copy?.Kind, state.AcknowledgedSequence));
        Assert.Contains($":{sequence}", state.Copy!.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Newer_line_after_hidden_slices_compares_everything_because_the_target_has_dropped_them()
    {
        SourceState point = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Whole())));
        SourceState hidden = SourceTransitions.Acknowledge(Cut(point, Cycle(6, 9, Whole(), listed: false)));
        Assert.NotNull(SourceTransitions.GoOnAs(hidden, Third, point.LastPoint!.Id).Copy);
    }

    [Fact]
    public void Pause_and_resume_change_nothing_else()
    {
        SourceState before = Cut(Known(New()), Cycle(1, 5));
        SourceState paused = SourceTransitions.Pause(before, "ann");
        Assert.Equal("ann", paused.PausedBy);
        Assert.Equal(before, SourceTransitions.Resume(paused));
    }

    [Fact]
    public void Cut_over_an_undelivered_cycle_or_with_a_gap_is_a_broken_invariant()
    {
        SourceState pending = Cut(Known(New()), Cycle(1, 5));
        Assert.Throws<InvariantException>(() => Cut(pending, Cycle(6, 7)));
        Assert.Throws<InvariantException>(() => Cut(Known(New()), Cycle(2, 7)));
        Assert.Throws<InvariantException>(() => Cut(New(), Cycle(1, 7)));
        Assert.Throws<InvariantException>(() => SourceTransitions.Acknowledge(New()));
        Assert.Throws<InvariantException>(() => SourceTransitions.GiveUp(New()));
    }

    internal static SourceState Protected() => SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5)));

    private static readonly LineId Third = new(3, 9);

    [Fact]
    public void What_was_read_while_the_VM_was_off_and_nothing_tracked_it_counts_behind_its_fence_only()
    {
        DateTimeOffset fence = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
        SourceState state = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5) with { Checkpoint = null, StillBehind = fence }));
        Assert.Equal((true, fence), (state.IsUntracked, state.StillBehind));

        SourceState tracked = SourceTransitions.Acknowledge(Cut(state, Cycle(6, 9)));
        Assert.Equal((false, null), (tracked.IsUntracked, tracked.StillBehind));
        SourceState again = SourceTransitions.Resynchronise(state, "it ran", targetIsKnown: true);
        Assert.Equal((false, null), (again.IsUntracked, again.StillBehind));
    }

    private static SourceState Known(SourceState state) => SourceTransitions.SequenceLearnt(state, state.AcknowledgedSequence);

    private static SourceState Cut(SourceState state, PendingCycle cycle) => SourceTransitions.Cut(state, cycle);
}
