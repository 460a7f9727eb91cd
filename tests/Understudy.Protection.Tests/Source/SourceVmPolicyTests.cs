using Understudy.Blocks;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>CFG-14 at the source: a policy that changes while the first copy runs.</summary>
public sealed class SourceVmPolicyTests
{
    private const int Block = BlockSize.Bytes;

    [Fact]
    public void Policy_changed_in_the_middle_of_a_first_copy_counts_from_the_next_slice_and_nothing_is_copied_again()
    {
        SourceWorld world = new((ulong)Understudy.Testing.Seed.Next(), 200, 9);
        world.FillDisks();
        world.Policy = world.Policy with { SliceBytes = 8 * Block };
        int cutsBefore = 0;
        long left = 0;
        world.RunUntil(
            () =>
            {
                if (cutsBefore == 0 && world.Replica.DataBytes > 8 * Block)
                {
                    Assert.Empty(world.Replica.Points);
                    cutsBefore = world.Vm.Cuts;
                    left = (world.Vm.Disks.Sum(disk => (long)disk.Length) - world.Replica.DataBytes) / Block;
                    world.Engine!.ApplyPolicy(world.Policy = world.Policy with { SliceBytes = 2 * Block, Frequency = TimeSpan.FromHours(1), Compression = false });
                }

                return world.Replica.Points.Count == 2;
            },
            guestWrites: false);

        Assert.Equal(world.Vm.Disks.Sum(disk => (long)disk.Length), world.Replica.DataBytes);
        Assert.True(left > 40, "the policy came too late to be seen");
        Assert.True(world.Vm.Cuts - cutsBefore >= (left / 2) - 8, $"{left} blocks were left and {world.Vm.Cuts - cutsBefore} cuts made: the slices did not become smaller");
        Assert.InRange(world.Replica.Points[1].CutAt - world.Replica.Points[0].CutAt, TimeSpan.FromMinutes(59), TimeSpan.FromMinutes(61));
    }

    [Fact]
    public void Disk_excluded_in_the_middle_of_a_first_copy_leaves_and_the_others_go_on_where_they_were()
    {
        SourceWorld world = new((ulong)Understudy.Testing.Seed.Next(), 20, 30);
        world.FillDisks();
        bool changed = false;
        world.RunUntil(
            () =>
            {
                if (!changed && world.Replica.DataBytes > 6 * Block)
                {
                    changed = true;
                    Assert.Empty(world.Replica.Points);
                    world.Engine!.ApplyPolicy(world.Policy = world.Policy with { ExcludedDisks = ["vdb"] });
                }

                return world.Replica.Points.Count == 1;
            },
            guestWrites: false);
        Assert.DoesNotContain("vdb", world.Replica.DisksOfPoints[^1], StringComparison.Ordinal);
        Assert.Equal(world.Vm.Disks[0].Length, world.Replica.DataBytes);
    }
}
