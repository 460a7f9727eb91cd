using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Source;
using static Understudy.Protection.Tests.Source.SourceRulesTests;

namespace Understudy.Protection.Tests.Source;

public sealed class DiskSetTests
{
    private const long Block = BlockSize.Bytes;
    private static readonly SourceState Protected = SourceTransitionsTests.Protected();

    [Fact]
    public void Nothing_new_is_no_change()
    {
        Assert.Same(Protected, DiskSet.TakeUp(Protected, Now, out IReadOnlyList<string> changes));
        Assert.Empty(changes);
        Assert.Same(Protected, DiskSet.TakeUp(Protected, [.. Now.Reverse()], out _)); // The order in the definition says nothing.
    }

    [Fact]
    public void Disk_that_came_gets_the_next_number_and_joins_and_no_other_is_copied_again()
    {
        SourceState state = DiskSet.TakeUp(Protected, [.. Now, new DiskNow("vdc", 4096)], out IReadOnlyList<string> changes);
        Assert.Equal([.. Protected.Disks, new SourceDisk(new DiskId(2), "vdc", 4096, Joining: true)], state.Disks);
        Assert.Equal((3, false, null), (state.NextDisk, state.GeometrySent, state.Copy));
        Assert.Contains("vdc", Assert.Single(changes), StringComparison.Ordinal);
    }

    [Fact]
    public void Disk_that_comes_before_the_first_point_is_part_of_the_first_copy()
    {
        SourceState state = DiskSet.TakeUp(New(), [.. Now, new DiskNow("vdc", 4096)], out _);
        Assert.Equal(new SourceDisk(new DiskId(2), "vdc", 4096), state.Disks[2]);
        Assert.Equal(CopyKind.First, state.Copy?.Kind);
    }

    [Fact]
    public void Disk_that_went_takes_its_number_with_it_for_good()
    {
        SourceState state = DiskSet.TakeUp(Protected, [Now[0]], out IReadOnlyList<string> changes);
        Assert.Equal([Protected.Disks[0]], state.Disks);
        Assert.Contains("vdb", Assert.Single(changes), StringComparison.Ordinal);

        SourceState back = DiskSet.TakeUp(state, Now, out _);
        Assert.Equal(new SourceDisk(new DiskId(2), "vdb", Now[1].SizeBytes, Joining: true), back.Disks[1]);
    }

    [Fact]
    public void Disk_that_grew_keeps_what_it_had_and_no_point_is_made_with_its_old_end()
    {
        SourceState state = DiskSet.TakeUp(Protected, [Now[0], Now[1] with { SizeBytes = 20 * Block }], out _);

        // Its last block was short: it is read again with what is new, and its zeros count.
        Assert.Equal(new SourceDisk(new DiskId(1), "vdb", 20 * Block, CopiedBytes: 4 * Block, VirginFromBytes: Now[1].SizeBytes), state.Disks[1]);
        Assert.Equal(Protected.Disks[0], state.Disks[0]);
        Assert.Equal(CopyKind.Growth, state.Copy?.Kind);
        Assert.False(state.GeometrySent);
    }

    [Fact]
    public void Disk_that_grew_while_it_joins_does_not_hold_up_the_points()
    {
        SourceState joining = DiskSet.TakeUp(Protected, [.. Now, new DiskNow("vdc", 4 * Block)], out _);
        SourceState state = DiskSet.TakeUp(joining, [.. Now, new DiskNow("vdc", 8 * Block)], out _);
        Assert.Equal(8 * Block, state.Disks[2].SizeBytes);
        Assert.Null(state.Copy);
    }

    [Fact]
    public void Disk_that_shrank_is_another_disk()
    {
        SourceState state = DiskSet.TakeUp(Protected, [Now[0] with { SizeBytes = Block }, Now[1]], out IReadOnlyList<string> changes);
        Assert.Equal([Protected.Disks[1], new SourceDisk(new DiskId(2), "vda", Block, Joining: true)], state.Disks);
        Assert.Contains("another disk", Assert.Single(changes), StringComparison.Ordinal);
    }

    [Fact]
    public void Where_nobody_knows_what_the_target_has_a_new_disk_has_no_virgin_ground_either()
    {
        SourceState lost = SourceTransitions.Resynchronise(Protected, "x", targetIsKnown: false);
        SourceState state = DiskSet.TakeUp(lost, [.. Now, new DiskNow("vdc", 4096)], out _);
        Assert.Equal(SourceDisk.Nowhere, state.Disks[2].VirginFromBytes);
        Assert.Equal(CopyKind.Resynchronisation, state.Copy?.Kind);
    }

    [Fact]
    public void Disks_change_only_while_nothing_is_pending_and_numbers_end_somewhere()
    {
        SourceState pending = SourceTransitions.Cut(Protected, Cycle(6, 7));
        Assert.Throws<InvariantException>(() => DiskSet.TakeUp(pending, Now, out _));
        Assert.Throws<UnderstudyException>(() => DiskSet.TakeUp(Protected with { NextDisk = 65536 }, [.. Now, new DiskNow("vdc", 4096)], out _));
    }
}
