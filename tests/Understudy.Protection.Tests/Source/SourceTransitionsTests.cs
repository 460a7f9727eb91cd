using Understudy.Blocks;
using Understudy.Protection.Source;
using static Understudy.Protection.Tests.Source.SourceRulesTests;

namespace Understudy.Protection.Tests.Source;

public sealed class SourceTransitionsTests
{
    private static readonly CopyPosition Half = new(0, 5 * 65536);
    private static readonly CopyPosition End = CopyPosition.EndOf(Spec.Disks);

    [Fact]
    public void Acknowledged_slice_moves_the_copy_and_becomes_what_changes_are_counted_from()
    {
        SourceState state = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, Half, listed: false)));
        Assert.Equal(("us-5", 5ul, 5ul), (state.Checkpoint, state.AcknowledgedSequence, state.UsedSequence));
        Assert.Equal(new CopyState(CopyKind.First, Half, Half), state.Copy);
        Assert.Equal((true, "hash", null), (state.GeometrySent, state.DefinitionHash, state.LastPoint));
        Assert.Null(state.Pending);
    }

    [Fact]
    public void Last_slice_ends_the_copy_and_makes_the_first_point()
    {
        SourceState state = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, End)));
        Assert.Null(state.Copy);
        Assert.Equal(5ul, state.LastPoint?.Sequence);
    }

    [Fact]
    public void Given_up_slice_is_no_virgin_ground_and_its_numbers_are_unsure()
    {
        SourceState state = SourceTransitions.GiveUp(Cut(Known(New()), Cycle(1, 5, Half, listed: false)));
        Assert.Equal(new CopyState(CopyKind.First, CopyPosition.Start, Half), state.Copy);
        Assert.Equal((false, 0ul, 5ul, null), (state.SequenceKnown, state.AcknowledgedSequence, state.UsedSequence, state.Checkpoint));
        Assert.False(state.GeometrySent);

        SourceState learnt = SourceTransitions.SequenceLearnt(state, 3);
        Assert.Equal((true, 3ul, 3ul), (learnt.SequenceKnown, learnt.AcknowledgedSequence, learnt.UsedSequence));
    }

    [Fact]
    public void Given_up_cycle_keeps_the_older_checkpoint_and_the_points()
    {
        SourceState before = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, End)));
        SourceState state = SourceTransitions.GiveUp(Cut(before, Cycle(6, 9)));
        Assert.Equal((before.Checkpoint, before.LastPoint, 5ul, 9ul), (state.Checkpoint, state.LastPoint, state.AcknowledgedSequence, state.UsedSequence));
        Assert.Null(state.Copy);
    }

    [Fact]
    public void Resynchronisation_starts_at_the_start_sends_zeros_everywhere_and_keeps_the_last_point()
    {
        SourceState before = SourceTransitions.Acknowledge(Cut(Known(New()), Cycle(1, 5, End)));
        SourceState state = SourceTransitions.Resynchronise(before, "tracking lost");
        Assert.Equal(new CopyState(CopyKind.Resynchronisation, CopyPosition.Start, End, "tracking lost"), state.Copy);
        Assert.Equal((null, false, null), (state.Checkpoint, state.GeometrySent, state.DefinitionHash));
        Assert.Equal((before.LastPoint, true), (state.LastPoint, state.SequenceKnown));
        Assert.Equal(CopyKind.First, SourceTransitions.Resynchronise(Known(New()), "x").Copy?.Kind);
    }

    [Fact]
    public void Resynchronisation_over_a_pending_cycle_gives_that_up()
    {
        SourceState state = SourceTransitions.Resynchronise(Cut(Known(New()), Cycle(1, 5, Half, listed: false)), "x");
        Assert.Null(state.Pending);
        Assert.False(state.SequenceKnown);
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

    [Fact]
    public void Position_covers_whole_disks_before_it_and_the_start_of_its_own()
    {
        Assert.Equal(new ByteRange(0, 5 * 65536), Half.CoveredOf(0, 10 * 65536));
        Assert.True(Half.CoveredOf(1, 512).IsEmpty);
        Assert.Equal(Spec.Disks.Sum(disk => disk.SizeBytes), End.CoveredBytes(Spec.Disks));
        Assert.Equal(0, CopyPosition.Start.CoveredBytes(Spec.Disks));
        Assert.Equal(new CopyPosition(1, 0), CopyPosition.Later(Half, new CopyPosition(1, 0)));
    }

    private static SourceState Known(SourceState state) => SourceTransitions.SequenceLearnt(state, state.AcknowledgedSequence);

    private static SourceState Cut(SourceState state, PendingCycle cycle) => SourceTransitions.Cut(state, cycle);
}
