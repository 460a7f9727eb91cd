using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>The engine end to end on a model VM. That every listed point equals the cut is checked in every one of these, by
/// the replica itself.</summary>
public sealed class SourceVmTests
{
    [Fact]
    public void First_copy_in_slices_then_cycles_at_the_frequency()
    {
        SourceWorld world = new(Seed());
        world.FillDisks(); // With what chance has written alone, one slice may hold it all.
        world.RunUntil(() => world.Replica.Points.Count == 8 && world.Engine?.Status.LastPoint?.Id == world.Replica.LastPoint);

        Assert.True(world.Vm.Requests.Count > 8, "the first copy was not made in slices");
        Assert.Equal("-", world.Vm.Requests[0]);
        Assert.DoesNotContain("-", world.Vm.Requests.Skip(1));
        IEnumerable<TimeSpan> steps = world.Replica.Points.Zip(world.Replica.Points.Skip(1), (a, b) => b.CutAt - a.CutAt);
        Assert.All(steps, step => Assert.InRange(step, SourceWorld.Frequency - TimeSpan.FromSeconds(1), SourceWorld.Frequency + TimeSpan.FromSeconds(2)));
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.FirstPoint);
        SourceStatus status = world.Engine!.Status;
        Assert.Equal((SourcePhase.Protected, 0L), (status.Phase, status.CyclesFailed));
        Assert.Equal(world.Replica.LastPoint, status.LastPoint!.Id);
        Assert.True(world.Vm.CheckpointNames.Count <= 2, "more than two checkpoints");
    }

    [Fact]
    public void Idle_vm_gets_points_all_the_same_and_sends_no_data_for_them()
    {
        SourceWorld world = new(Seed());
        world.FillDisks();
        world.RunUntil(() => world.Replica.Points.Count == 1, guestWrites: false);
        long sent = world.Replica.DataBytes;
        Assert.InRange(sent, 1, world.Vm.Written.Count * (long)BlockSize.Bytes);
        Assert.Equal(0, world.Replica.ZeroRecords);

        SourceWorld longer = new(world.Simulator.Seed);
        longer.FillDisks();
        longer.RunUntil(() => longer.Replica.Points.Count == 5, guestWrites: false);
        Assert.Equal(sent, longer.Replica.DataBytes);
    }

    [Fact]
    public void Definition_goes_with_the_first_records_and_again_only_when_it_changed()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 3 && world.Vm.Open is null && world.Engine?.Status.Wait == SourceWait.NextCycle)
            {
                world.Vm.DefinitionVersion = 2;
            }

            return world.Replica.Points.Count == 6;
        });
        Assert.Equal(2, world.Replica.Definitions.Count);
        Assert.Contains(">2<", world.Replica.Definitions[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Killed_at_any_step_and_started_again_every_point_is_true()
    {
        int seed = Understudy.Testing.Seed.Next();
        SourceWorld undisturbed = new((ulong)seed);
        undisturbed.RunUntil(() => undisturbed.Replica.Points.Count == 3);
        long steps = undisturbed.Simulator.Steps;

        // Every step of a run is too many on a small machine; an odd stride with a fresh start covers them over the runs.
        Random random = new(seed);
        long stride = Math.Max(1, steps / 150);
        for (long kill = 1 + random.NextInt64(stride); kill < steps; kill += stride)
        {
            SourceWorld world = new((ulong)seed);
            long at = kill;
            world.Simulator.AfterStep = () =>
            {
                if (world.Simulator.Steps == at)
                {
                    world.KillAgent();
                }
            };
            world.RunUntil(() => world.Replica.Points.Count == 4);
            Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
        }
    }

    [Fact]
    public void Killed_again_and_again_with_cut_links_every_point_is_true_and_it_gets_done()
    {
        int seed = Understudy.Testing.Seed.Next();
        for (int run = 0; run < 40; run++)
        {
            Random random = new(seed + run);
            SourceWorld world = new((ulong)(seed + run));
            long next = random.NextInt64(200);
            int faults = 0;
            world.Simulator.AfterStep = () =>
            {
                if (world.Simulator.Steps < next || faults >= 25)
                {
                    return;
                }

                faults++;
                next = world.Simulator.Steps + random.NextInt64(600);
                switch (random.Next(4))
                {
                    case 0:
                        world.Simulator.Interrupt(world.Network.CutAll);
                        break;
                    case 1:
                        world.Simulator.Interrupt(world.Replica.Crash);
                        world.Simulator.Interrupt(world.Network.CutAll);
                        break;
                    default:
                        world.KillAgent();
                        break;
                }
            };
            world.RunUntil(() => world.Replica.Points.Count >= 4 && faults >= 25);
        }
    }

    [Fact]
    public void Lost_tracking_is_a_resynchronisation_that_is_said_and_leaves_the_points_alone()
    {
        SourceWorld world = new(Seed());
        int pointsBefore = 0;
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 3 && pointsBefore == 0 && world.Engine?.Status.Wait == SourceWait.NextCycle)
            {
                pointsBefore = 3;
                world.Vm.CrashQemu();
            }

            return world.Replica.Points.Count == 6;
        });
        Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
        Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationDone);
        Assert.Equal(2, world.Vm.Requests.Count(since => since == "-"));
        Assert.True(world.Replica.Questions > 0, "a resynchronisation must ask what is there");
    }

    [Fact]
    public void Lost_tracking_in_the_middle_of_the_first_copy_starts_it_again()
    {
        SourceWorld world = new(Seed(), 20, 20);
        bool crashed = false;
        world.RunUntil(() =>
        {
            if (!crashed && world.Replica.FlushedSequence > 4 && world.Vm.Open is null)
            {
                crashed = true;
                world.Vm.CrashQemu();
            }

            return world.Replica.Points.Count == 2;
        });
        Assert.True(crashed);
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
    }

    [Fact]
    public void Target_that_lost_acknowledged_records_is_found_out_and_everything_is_sent_again()
    {
        SourceWorld world = new(Seed());
        bool lost = false;
        world.RunUntil(() =>
        {
            if (!lost && world.Replica.Points.Count == 3 && world.Engine?.Status.Wait == SourceWait.NextCycle)
            {
                lost = true;
                world.Replica.Forget(2);
                world.Network.CutAll();
            }

            return world.Replica.Points.Count == 5;
        });
        SourceEvent happened = Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
        Assert.Contains("lost records", happened.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Vm_that_is_off_is_waited_for_and_goes_on_when_it_runs()
    {
        SourceWorld world = new(Seed());
        bool seenWaiting = false;
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2 && !seenWaiting && world.Vm.Open is null)
            {
                world.Vm.State = VmRunState.Off;
            }

            if (world.Engine?.Status.Wait == SourceWait.VmToRun)
            {
                seenWaiting = true;
                world.Vm.State = VmRunState.Running;
            }

            return world.Replica.Points.Count == 4;
        });
        Assert.True(seenWaiting);
    }

    [Fact]
    public void Link_that_is_down_delays_points_and_makes_no_second_cut()
    {
        SourceWorld world = new(Seed());
        int cutsBefore = 0;
        DateTimeOffset since = default;
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2 && cutsBefore == 0)
            {
                cutsBefore = world.Vm.Cuts;
                since = world.Time.GetUtcNow();
                world.Replica.Instead = _ => new Journal.AppendOutcome.Full("the pool is full");
            }

            if (cutsBefore > 0 && world.Replica.Instead is not null && world.Time.GetUtcNow() - since > TimeSpan.FromMinutes(10))
            {
                Assert.True(world.Vm.Cuts <= cutsBefore + 1, "a second cut was made over an undelivered one");
                Assert.Equal(SourceWait.SpaceAtTarget, world.Engine!.Status.Wait);
                Assert.True(world.Engine.Status.TargetFull);
                Assert.NotNull(world.Engine.Status.Fault);
                world.Replica.Instead = null;
                since = world.Time.GetUtcNow();
            }

            if (world.Replica.Points.Count == 2 && cutsBefore > 0 && world.Replica.Instead is null)
            {
                Assert.InRange(world.Time.GetUtcNow() - since, TimeSpan.Zero, TimeSpan.FromMinutes(1.2)); // whoever has made space sees it help
            }

            return world.Replica.Points.Count == 5;
        });
        Assert.Single(world.Events, happened => happened.Kind == SourceEventKind.TargetFull);
        Assert.True(world.Engine!.Status.CyclesMissed > 10);
        Assert.False(world.Engine.Status.TargetFull);
        Assert.True(world.Vm.CheckpointNames.Count <= 2);
    }

    [Fact]
    public void Newer_line_stops_the_sending()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() =>
        {
            if (world.Replica.Points.Count == 2)
            {
                world.Replica.MoveTo(new Blocks.Identity.LineId(2, 5), world.Time.GetUtcNow());
            }

            return world.Engine?.Status.Wait == SourceWait.OwnerDecision;
        });
        Assert.Equal(2, world.Replica.Points.Count);
    }

    [Fact]
    public void Damaged_spool_is_given_up_and_the_next_cycle_covers_it()
    {
        SourceWorld world = new(Seed());
        bool damaged = false;
        world.RunUntil(() =>
        {
            if (!damaged && world.Replica.Points.Count == 2)
            {
                world.Replica.Instead = _ => new Journal.AppendOutcome.Full("the pool is full");
                if (world.Engine?.Status.Wait == SourceWait.SpaceAtTarget)
                {
                    string segment = world.Machine.Disk.ListAll("source/app/spool")[0].Name;
                    damaged = world.Machine.Disk.FlipBit(segment, Journal.Segments.SegmentHeader.SizeBytes + 100);
                    Assert.True(damaged);
                    world.Replica.Instead = null;
                    world.Engine.PeerIsBack();
                }
            }

            return world.Replica.Points.Count == 5;
        });
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.CycleGivenUp);
        Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
        Assert.True(world.Vm.CheckpointNames.Count <= 2);
    }

    [Fact]
    public void Slice_given_up_half_sent_leaves_nothing_of_itself_when_the_guest_empties_those_blocks()
    {
        SourceWorld world = new(Seed(), 20);
        for (int block = 0; block < 19; block++)
        {
            world.Vm.Write(0, block, Enumerable.Repeat((byte)(block + 1), BlockSize.Bytes).ToArray());
        }

        bool damaged = false;
        world.Replica.Instead = header => header.Sequence > 3 ? new Journal.AppendOutcome.Full("the pool is full") : null;
        world.RunUntil(
            () =>
            {
                if (!damaged && world.Engine?.Status.Wait == SourceWait.SpaceAtTarget)
                {
                    damaged = true;
                    Assert.True(world.Replica.DataBytes > 0 || world.Replica.ReceivedSequence == 3, "the slice is to be half sent");
                    Blocks.Storage.StoreEntry segment = world.Machine.Disk.ListAll("source/app/spool")[0];
                    Assert.True(world.Machine.Disk.FlipBit(segment.Name, segment.LengthBytes - 10));
                    for (int block = 0; block < 19; block++)
                    {
                        world.Vm.Discard(0, block);
                    }

                    world.Replica.Instead = null;
                    world.Engine.PeerIsBack();
                }

                return world.Replica.Points.Count == 2;
            },
            guestWrites: false);
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.CycleGivenUp);
        Assert.True(world.Replica.DataBytes > 0);
    }

    [Theory]
    [InlineData("begin")]
    [InlineData("begun")]
    [InlineData("changed")]
    [InlineData("allocation")]
    [InlineData("read")]
    [InlineData("definition")]
    [InlineData("end")]
    [InlineData("delete")]
    [InlineData("deleted")]
    [InlineData("find")]
    [InlineData("list")]
    [InlineData("clear")]
    public void Hypervisor_call_that_fails_costs_a_try_and_no_truth(string call)
    {
        SourceWorld world = new(Seed());
        int failed = 0;
        world.RunUntil(() =>
        {
            if (failed < 4 && world.Vm.FailNext.Count == 0)
            {
                failed++;
                world.Vm.FailNext[call] = new HypervisorException(HypervisorFault.Busy, $"{call} failed");
            }

            return world.Replica.Points.Count == 5;
        });
        Assert.True(world.Vm.CheckpointNames.Count <= 2);
        Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
    }

    [Fact]
    public void Unprotect_leaves_no_checkpoint_of_ours_and_no_file()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        world.Simulator.Run(world.UnprotectAsync);
        Assert.Empty(world.Vm.CheckpointNames);
        Assert.Empty(world.Machine.Disk.ListAll("source/app"));
    }

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
