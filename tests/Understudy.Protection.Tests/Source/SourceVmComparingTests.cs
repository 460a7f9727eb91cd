using Understudy.Blocks;
using Understudy.Protection.Source;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>Resynchronisation and seeds: what the target holds already does not cross the wire, and every point is true all the
/// same (the replica checks that itself).</summary>
public sealed class SourceVmComparingTests
{
    private const int Block = BlockSize.Bytes;

    [Fact]
    public void Lost_tracking_sends_the_blocks_that_differ_and_no_other_and_says_so()
    {
        SourceWorld world = new(Seed(), 40, 9);
        world.FillDisks();
        long before = 0;
        world.RunUntil(
            () =>
            {
                if (world.Replica.Points.Count == 2 && before == 0 && IsIdle(world))
                {
                    before = world.Replica.DataBytes;
                    world.Vm.CrashQemu();
                    world.Vm.Write(0, 3, Enumerable.Repeat((byte)200, Block).ToArray());
                    world.Vm.Write(0, 39, Enumerable.Repeat((byte)201, Block - 512).ToArray()); // The short last block.
                    world.Vm.Discard(1, 2);
                }

                return world.Replica.Points.Count == 5;
            },
            guestWrites: false);

        Assert.Equal((2 * Block) - 512, world.Replica.DataBytes - before);
        Assert.Equal(1, world.Replica.ZeroRecords);
        SourceEvent started = Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
        Assert.Contains("only what differs is sent", started.What, StringComparison.Ordinal);
        SourceEvent done = Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationDone);
        Assert.Contains("of 3.1 MiB compared with the target, 191.5 KiB differed", done.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Resynchronisation_of_an_unchanged_vm_sends_nothing_but_its_point()
    {
        SourceWorld world = new(Seed(), 30);
        world.FillDisks();
        (long Data, long Zeros) before = default;
        world.RunUntil(
            () =>
            {
                if (world.Replica.Points.Count == 1 && before == default && IsIdle(world))
                {
                    before = (world.Replica.DataBytes, world.Replica.ZeroRecords);
                    world.Vm.CrashQemu();
                }

                return world.Replica.Points.Count == 3;
            },
            guestWrites: false);
        Assert.Equal(before, (world.Replica.DataBytes, world.Replica.ZeroRecords));
    }

    [Fact]
    public void Block_the_target_cannot_read_any_more_is_sent_again()
    {
        SourceWorld world = new(Seed(), 30);
        world.FillDisks();
        long before = 0;
        world.RunUntil(
            () =>
            {
                if (world.Replica.Points.Count == 1 && before == 0 && IsIdle(world))
                {
                    before = world.Replica.DataBytes;
                    world.Replica.DamagedBlock = 7;
                    world.Vm.CrashQemu();
                }

                return world.Replica.Points.Count == 3;
            },
            guestWrites: false);
        Assert.Equal(Block, world.Replica.DataBytes - before);
    }

    [Fact]
    public void Target_that_lost_records_is_compared_and_gets_what_they_held()
    {
        SourceWorld world = new(Seed(), 30);
        world.FillDisks();
        long before = 0;
        world.RunUntil(
            () =>
            {
                if (world.Replica.Points.Count == 2 && before == 0 && IsIdle(world))
                {
                    before = world.Replica.DataBytes;
                    world.Replica.Forget(1);
                    world.Network.CutAll();
                }

                return world.Replica.Points.Count == 4;
            },
            guestWrites: false);
        Assert.Equal(before, world.Replica.DataBytes);
        Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
    }

    [Fact]
    public void First_copy_onto_a_seed_sends_only_what_differs_and_overwrites_what_the_seed_has_too_much()
    {
        SourceWorld world = new(Seed(), 20, 9);
        world.FillDisks();
        world.Vm.Discard(0, 5);
        byte[] seed = (byte[])world.Vm.Disks[0].Clone();
        seed[(8 * Block) + 77] ^= 1;
        seed[(5 * Block) + 3] = 9; // A hole at the source.
        world.Replica.Seeds["vda"] = seed;
        world.RunUntil(() => world.Replica.Points.Count == 2, guestWrites: false);

        // One block of the seeded disk, and all of the other, which began empty.
        Assert.Equal(Block + world.Vm.Disks[1].Length, world.Replica.DataBytes);
        Assert.Equal(1, world.Replica.ZeroRecords);
        SourceEvent first = Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.FirstPoint);
        Assert.Contains("compared with the target", first.What, StringComparison.Ordinal);
    }

    [Fact]
    public void No_capture_waits_for_the_network()
    {
        SourceWorld world = new(Seed(), 40);
        world.FillDisks();
        bool crashed = false;
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2 && !crashed && IsIdle(world))
            {
                crashed = true;
                world.Vm.CrashQemu();
            }

            Assert.False(world.Vm.Open is not null && world.Engine?.Status.Wait == SourceWait.Sums, "a capture is open while sums are waited for");
            return world.Replica.Points.Count == 4;
        });
    }

    [Fact]
    public void Killed_and_cut_again_and_again_while_it_compares_every_point_is_true_and_it_gets_done()
    {
        int seed = Understudy.Testing.Seed.Next();
        for (int run = 0; run < 25; run++)
        {
            Random random = new(seed + run);
            SourceWorld world = new((ulong)(seed + run), 12, 7);
            if (run % 3 == 0)
            {
                world.FillDisks();
                byte[] image = (byte[])world.Vm.Disks[0].Clone();
                random.NextBytes(image.AsSpan(random.Next(image.Length / 2), 100_000));
                world.Replica.Seeds["vda"] = image;
            }

            long next = random.NextInt64(400);
            int faults = 0;
            world.Simulator.AfterStep = () =>
            {
                if (world.Simulator.Steps < next || faults >= 30)
                {
                    return;
                }

                faults++;
                next = world.Simulator.Steps + random.NextInt64(700);
                switch (random.Next(7))
                {
                    case 0:
                        world.Simulator.Interrupt(world.Network.CutAll);
                        break;
                    case 1:
                        world.Simulator.Interrupt(world.Replica.Crash);
                        world.Simulator.Interrupt(world.Network.CutAll);
                        break;
                    case 2:
                        world.Vm.CrashQemu();
                        break;
                    case 3 when world.Vm.Disks[0].Length < 20 * Block:
                        world.Vm.GrowDisk("vda", (int)BlockSize.CountFor(world.Vm.Disks[0].Length) + 1);
                        break;
                    case 4 when IsIdle(world) && world.Replica.FlushedSequence > 3: // Nothing is on its way to what loses it.
                        ulong lost = (ulong)random.Next(1, 3);
                        world.Simulator.Interrupt(() =>
                        {
                            world.Replica.Crash();
                            world.Replica.Forget(lost);
                            world.Network.CutAll();
                        });
                        break;
                    default:
                        world.KillAgent();
                        break;
                }
            };
            int points = 0;
            world.RunUntil(() =>
            {
                points = faults < 30 ? world.Replica.Points.Count : points;
                return faults >= 30 && world.Replica.Points.Count >= points + 2;
            });
        }
    }

    private static bool IsIdle(SourceWorld world) => world.Vm.Open is null && world.Engine?.Status.Wait == SourceWait.NextCycle;

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
