using Understudy.Blocks;
using Understudy.Protection.Source;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>Disks that come, go, grow and are left out while the VM is protected (CFG-9), with a guest that writes to all of them.
/// That every point equals its cut, disk by disk, is checked by the replica itself.</summary>
public sealed class SourceVmDisksTests
{
    private const int A = (5 * BlockSize.Bytes) - 512;
    private const int B = (9 * BlockSize.Bytes) - 512;

    [Fact]
    public void Disk_that_comes_is_copied_while_points_go_on_without_it_and_the_others_are_not_copied_again()
    {
        SourceWorld world = new(Seed());
        long? before = null; // Of disks that were never written nothing is sent.
        bool pointWhileItJoins = false;
        world.RunUntil(
            () =>
            {
                if (world.Replica.Points.Count >= 2 && before is null && IsIdle(world))
                {
                    before = world.Replica.DataBytes;
                    world.Vm.AddDisk("vdc", 300);
                    world.FillDisk(2);
                }

                pointWhileItJoins |= world.Vm.Disks.Count == 3 && world.Engine?.Status is { CopyTotalBytes: > 0 and < 301 * BlockSize.Bytes, Phase: SourcePhase.Protected };
                return world.Replica.Points.Count >= 4 && world.Events.Exists(happened => happened.Kind == SourceEventKind.DiskJoined);
            },
            guestWrites: false);

        Assert.True(pointWhileItJoins, "the new disk's copy was not shown");
        Assert.Equal($"0:vda:{A} 1:vdb:{B}", world.Replica.DisksOfPoints[1]);
        Assert.Equal($"0:vda:{A} 1:vdb:{B} 2:vdc:{(300 * BlockSize.Bytes) - 512}", world.Replica.DisksOfPoints[^1]);
        Assert.InRange(world.Replica.DataBytes - before!.Value, 299 * BlockSize.Bytes, 301 * BlockSize.Bytes);
        Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
        Assert.Equal(0, world.Engine!.Status.CyclesFailed);
    }

    [Fact]
    public void Points_keep_their_frequency_while_a_large_disk_joins()
    {
        SourceWorld world = new(Seed());
        bool added = false;
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2 && !added)
            {
                added = true;
                world.Vm.AddDisk("vdc", 60);
                world.Vm.CallTime = TimeSpan.FromMilliseconds(200);
                world.FillDisk(2);
            }

            return world.Replica.Points.Count >= 4 && world.Replica.DisksOfPoints[^1].Contains("vdc", StringComparison.Ordinal);
        });
        TimeSpan[] steps = [.. world.Replica.Points.Zip(world.Replica.Points.Skip(1), (a, b) => b.CutAt - a.CutAt)];
        Assert.All(steps[..^1], step => Assert.InRange(step, SourceWorld.Frequency - TimeSpan.FromSeconds(1), SourceWorld.Frequency + TimeSpan.FromSeconds(8)));
        Assert.True(steps.Length >= 4, "the disk joined before a point was due");
    }

    [Fact]
    public void Disk_that_grows_is_whole_in_the_next_point_and_what_it_had_is_not_sent_again()
    {
        SourceWorld world = new(Seed());
        long before = 0;
        world.FillDisks();
        world.RunUntil(
            () =>
            {
                if (world.Replica.Points.Count == 2 && before == 0 && IsIdle(world))
                {
                    before = world.Replica.DataBytes;
                    world.Vm.GrowDisk("vda", 30);
                    world.Vm.Write(0, 20, Enumerable.Repeat((byte)7, BlockSize.Bytes).ToArray());
                }

                return world.Replica.Points.Count == 4;
            },
            guestWrites: false);
        Assert.Equal($"0:vda:{A} 1:vdb:{B}", world.Replica.DisksOfPoints[1]);
        Assert.Equal($"0:vda:{(30 * BlockSize.Bytes) - 512} 1:vdb:{B}", world.Replica.DisksOfPoints[2]);
        Assert.Equal(BlockSize.Bytes, world.Replica.DataBytes - before); // The one that was short is compared, and the same.
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.DisksChanged && happened.What.Contains("grown", StringComparison.Ordinal));
    }

    [Fact]
    public void Disk_that_is_detached_or_excluded_is_in_no_later_point_and_comes_back_as_a_new_one()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() =>
        {
            switch (world.Replica.Points.Count)
            {
                case 2:
                    world.Engine?.ApplyPolicy(world.Policy = world.Policy with { ExcludedDisks = ["vdb"] });
                    break;
                case 4:
                    world.Engine?.ApplyPolicy(world.Policy = world.Policy with { ExcludedDisks = [] });
                    break;
            }

            return world.Replica.DisksOfPoints.Contains($"0:vda:{A} 2:vdb:{B}");
        });
        Assert.Equal($"0:vda:{A} 1:vdb:{B}", world.Replica.DisksOfPoints[0]);
        Assert.Contains($"0:vda:{A}", world.Replica.DisksOfPoints);
    }

    [Fact]
    public void Disk_that_cannot_be_tracked_is_said_once_and_the_others_go_on()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2 && world.Vm.Disks.Count == 2)
            {
                world.Vm.AddDisk("vdc", 4);
                world.Vm.RawDisk = "vdc";
            }

            return world.Replica.Points.Count == 5;
        });
        SourceEvent happened = Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.DiskNotProtected);
        Assert.Contains("vdc", happened.What, StringComparison.Ordinal);
        Assert.Contains("vdc", world.Engine!.Status.DisksLeftOut, StringComparison.Ordinal);
        Assert.All(world.Replica.DisksOfPoints, disks => Assert.DoesNotContain("vdc", disks, StringComparison.Ordinal));
    }

    [Fact]
    public void Disk_plugged_into_the_running_vm_only_waits_until_it_is_in_the_definition()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2 && world.Vm.Disks.Count == 2)
            {
                world.Vm.LiveOnlyDisk = "vdc";
                world.Vm.AddDisk("vdc", 4);
            }

            if (world.Replica.Points.Count == 4 && world.Vm.LiveOnlyDisk is not null)
            {
                Assert.Contains("not in its definition", world.Engine!.Status.DisksLeftOut, StringComparison.Ordinal);
                Assert.DoesNotContain("vdc", world.Replica.DisksOfPoints[^1], StringComparison.Ordinal);
                world.Vm.LiveOnlyDisk = null;
            }

            return world.Replica.DisksOfPoints.Count > 0 && world.Replica.DisksOfPoints[^1].Contains("vdc", StringComparison.Ordinal);
        });
        Assert.Null(world.Engine!.Status.DisksLeftOut);
    }

    [Fact]
    public void Vm_whose_disks_are_all_left_out_is_a_fault_with_a_remedy()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2)
            {
                world.Engine?.ApplyPolicy(world.Policy = world.Policy with { ExcludedDisks = ["vda", "vdb"] });
            }

            return world.Engine?.Status.Fault is not null;
        });
        Assert.Contains("no disk", world.Engine!.Status.Fault!.What, StringComparison.Ordinal);
    }

    [Fact]
    public void First_copy_begins_at_its_time_and_not_before_and_a_new_time_counts_at_once()
    {
        SourceWorld world = new(Seed());
        DateTimeOffset began = world.Time.GetUtcNow();
        world.Policy = world.Policy with { StartAt = began.AddHours(20) };
        bool moved = false;
        world.RunUntil(() =>
        {
            if (!moved && world.Engine?.Status.Wait == SourceWait.StartTime)
            {
                moved = true;
                Assert.Equal(0, world.Vm.Cuts);
                world.Engine.ApplyPolicy(world.Policy = world.Policy with { StartAt = began.AddHours(2) });
            }

            if (world.Time.GetUtcNow() < began.AddHours(2))
            {
                Assert.Equal(0, world.Vm.Cuts);
            }

            return world.Replica.Points.Count == 2;
        });
        Assert.True(moved);
        Assert.InRange(world.Replica.Points[0].CutAt, began.AddHours(2), began.AddHours(2).AddMinutes(1));
    }

    [Fact]
    public void Killed_again_and_again_while_disks_come_go_and_grow_every_point_is_true_and_has_the_disks_in_the_end()
    {
        int seed = Understudy.Testing.Seed.Next();
        for (int run = 0; run < 20; run++)
        {
            Random random = new(seed + run);
            SourceWorld world = new((ulong)(seed + run), 6, 4);
            long next = random.NextInt64(400);
            int faults = 0;
            world.Simulator.AfterStep = () =>
            {
                if (world.Simulator.Steps < next || faults >= 25)
                {
                    return;
                }

                faults++;
                next = world.Simulator.Steps + random.NextInt64(900);
                switch (random.Next(8))
                {
                    case 0:
                        world.Simulator.Interrupt(world.Network.CutAll);
                        break;
                    case 1:
                        world.Simulator.Interrupt(world.Replica.Crash);
                        world.Simulator.Interrupt(world.Network.CutAll);
                        break;
                    case 2 when world.Vm.Disks.Count < 5:
                        world.Vm.AddDisk($"vd{faults}", random.Next(1, 20));
                        break;
                    case 3 when world.Vm.Disks.Count > 2:
                        world.Vm.RemoveDisk(world.Vm.DisksNow[^1].TargetDevice);
                        break;
                    case 4:
                        DiskNow disk = world.Vm.DisksNow[random.Next(world.Vm.Disks.Count)];
                        world.Vm.GrowDisk(disk.TargetDevice, (int)BlockSize.CountFor(disk.SizeBytes) + random.Next(1, 9));
                        break;
                    default:
                        world.KillAgent();
                        break;
                }
            };
            world.RunUntil(() => world.Replica.Points.Count >= 4 && faults >= 25 && HasAllDisks(world));
        }
    }

    private static bool HasAllDisks(SourceWorld world) =>
        string.Join(' ', world.Vm.DisksNow.Select(disk => $"{disk.TargetDevice}:{disk.SizeBytes}").Order(StringComparer.Ordinal))
        == string.Join(' ', world.Replica.DisksOfPoints[^1].Split(' ').Select(disk => disk[(disk.IndexOf(':', StringComparison.Ordinal) + 1)..]).Order(StringComparer.Ordinal));

    private static bool IsIdle(SourceWorld world) => world.Vm.Open is null && world.Engine?.Status.Wait == SourceWait.NextCycle;

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
