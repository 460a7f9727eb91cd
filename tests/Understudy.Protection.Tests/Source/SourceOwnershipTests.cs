using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Source.Guest;
using Understudy.Protection.Tests.Source.World;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Tests.Source;

/// <summary>
/// A source whose VM is handed over, comes home, is taken from it, or is paused; on the model VM, with agents that die at every
/// step. That every listed point equals the cut is checked by the replica itself in every one of these.
/// </summary>
public sealed class SourceOwnershipTests
{
    private static readonly TransferId _transfer = new(new Guid(5, 5, 5, new byte[8]));
    private static readonly TransferId _back = new(new Guid(6, 6, 6, new byte[8]));
    private static readonly LineId _second = new(2, 8);
    private static readonly LineId _third = new(3, 8);

    [Fact]
    public void A_planned_hand_over_sends_the_last_change_and_comes_home_without_a_resynchronisation()
    {
        SourceWorld world = new(Seed());
        HandOver walk = new(world);
        world.RunUntil(() => walk.Step());
        walk.AssertDone();
        Assert.Contains(world.Vm.Requests, request => request.StartsWith("stopped us-", StringComparison.Ordinal));
    }

    [Fact]
    public void A_planned_hand_over_and_its_way_home_end_the_same_whatever_step_dies()
    {
        int seed = Understudy.Testing.Seed.Next();
        SourceWorld undisturbed = new((ulong)seed);
        HandOver first = new(undisturbed);
        undisturbed.RunUntil(() => first.Step());
        long steps = undisturbed.Simulator.Steps;

        // Every step of a run is too many on a small machine; an odd stride with a fresh start covers them over the runs.
        Random random = new(seed);
        long stride = Math.Max(1, steps / 40);
        for (long kill = 1 + random.NextInt64(stride); kill < steps; kill += stride)
        {
            SourceWorld world = new((ulong)seed);
            HandOver walk = new(world);
            long at = kill;
            world.Simulator.AfterStep = () =>
            {
                if (world.Simulator.Steps == at)
                {
                    world.KillAgent();
                }
            };
            world.RunUntil(() => walk.Step());
            walk.AssertDone();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_VM_that_nobody_can_give_back_is_claimed_and_goes_on_by_a_line_of_its_own(bool deposed)
    {
        SourceWorld world = new(Seed());
        Task? order = null;
        LineId? claimed = null;
        int before = 0;
        world.RunUntil(() =>
        {
            if (order is null && world.Replica.Points.Count >= 2 && world.Host is { } owner)
            {
                order = deposed ? owner.DeposeAsync(_second, world.Time.GetUtcNow(), action: null, default).AsTask() : GiveAwayAsync(owner);
            }

            if (claimed is null && order is { IsCompletedSuccessfully: true } && world.Host is { } claimant)
            {
                Assert.False(world.Guard.MayStart(world.Vm.Id));
                claimed = LineId.None;
                order = ClaimAsync(claimant);
            }

            return claimed is { Counter: > 0 } && world.Replica.Points.Count >= before + 2;
        });

        Assert.True(claimed!.Value.IsNewerThan(_second) || !deposed);
        Assert.Equal(claimed, world.Host!.Ownership.Record.Line);
        Assert.Equal(claimed, world.Host.Spec.Line);
        Assert.Equal(VmRunState.Running, world.Vm.State);
        Assert.True(world.Guard.MayStart(world.Vm.Id));

        async Task GiveAwayAsync(SourceHost host)
        {
            await host.FenceAsync("planned failover", default);
            await host.StopGuestAsync(powerOff: false, TimeSpan.FromMinutes(5), default);
            await host.Engine.LastChangeAsync(null, default);
            await host.Engine.OfferAsync(_transfer, SourceWorld.Peer, default);
        }

        async Task ClaimAsync(SourceHost host)
        {
            LineId line = await host.ClaimAsync(start: true, default);
            Assert.Equal(line, await host.ClaimAsync(start: true, default)); // Claimed once is enough.
            before = world.Replica.Points.Count;
            world.Replica.MoveTo(line, world.Time.GetUtcNow()); // As the target does when it hears of it.
            claimed = line;
        }
    }

    /// <summary>Its QEMU had been killed, so its last change was read by comparison, with nothing to count from afterwards. The failover
    /// was given up, it ran, and was given away again: what it had written in between was taken for nothing.</summary>
    [Fact]
    public void A_VM_that_ran_between_two_last_changes_is_read_again_when_nothing_had_tracked_it()
    {
        SourceWorld world = new(Seed());
        Task? order = null;
        world.RunUntil(() =>
        {
            if (order is null && world.Replica.Points.Count >= 2 && world.Host is { } host)
            {
                order = RestTwiceAsync(host);
            }

            return order is { IsCompletedSuccessfully: true };
        });
        Assert.Equal(2, world.Events.Count(happened => happened.Kind == SourceEventKind.ResynchronisationDone));

        async Task RestTwiceAsync(SourceHost host)
        {
            await host.FenceAsync("planned failover", default);
            await host.StopGuestAsync(powerOff: true, TimeSpan.FromMinutes(5), default);
            world.Vm.CrashQemu();
            await host.Engine.LastChangeAsync(null, default);
            await host.UnfenceAsync(start: false, default);
            world.FillDisks();
            await world.Simulator.DelayAsync(TimeSpan.FromSeconds(1));
            await host.FenceAsync("another planned failover", default);
            await host.Engine.LastChangeAsync(null, default);
        }
    }

    [Fact]
    public void A_target_that_ends_its_own_copy_before_it_believes_a_claim_is_asked_again_within_seconds()
    {
        SourceWorld world = new(Seed());
        Task<LineId>? claiming = null;
        DateTimeOffset? stepsBack = null;
        bool steppedBack = false;
        int before = 0;
        world.RunUntil(() =>
        {
            if (claiming is null && world.Replica.Points.Count >= 2 && world.Host is { } host)
            {
                claiming = LoseAndClaimAsync(host);
            }

            if (claiming is { IsCompletedSuccessfully: true })
            {
                stepsBack ??= world.Time.GetUtcNow() + TimeSpan.FromSeconds(20);
                if (!steppedBack && world.Time.GetUtcNow() >= stepsBack)
                {
                    world.Replica.MoveTo(claiming.Result, world.Time.GetUtcNow());
                    (steppedBack, before) = (true, world.Replica.Points.Count);
                }
            }

            return steppedBack && world.Replica.Points.Count > before;
        });

        Assert.InRange(world.Time.GetUtcNow() - stepsBack!.Value, TimeSpan.Zero, SourceWorld.Frequency);

        async Task<LineId> LoseAndClaimAsync(SourceHost host)
        {
            world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            await host.DeposeAsync(_second, world.Time.GetUtcNow(), action: null, default);
            return await host.ClaimAsync(start: true, default);
        }
    }

    [Theory]
    [InlineData(RefusalCode.SavedState)]
    [InlineData(RefusalCode.NoSuchVm)]
    public void A_VM_whose_disks_are_not_the_whole_of_it_makes_no_planned_point(RefusalCode code)
    {
        SourceWorld world = new(Seed());
        HandOver walk = new(world)
        {
            AfterStop = () =>
            {
                world.Vm.HasSavedState = code == RefusalCode.SavedState;
                world.Vm.State = code == RefusalCode.NoSuchVm ? VmRunState.Absent : world.Vm.State;
            },
        };
        RefusedException refused = Assert.Throws<RefusedException>(() => world.RunUntil(() => walk.Step()));
        Assert.Equal(code, refused.Code);
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, "not shut down in order")]
    public void The_planned_point_of_a_VM_that_was_ended_by_force_says_so(bool byForce, string? label)
    {
        SourceWorld world = new(Seed());
        HandOver walk = new(world) { StopsAtOffer = true, AfterStop = () => world.Vm.EndedByForce = byForce };
        SourcePoint? planned = null;
        world.RunUntil(() => walk.Step() || (planned = world.Engine?.Status.LastPoint) is { Kind: Understudy.Journal.Records.PointKind.Planned });
        Assert.Equal(label, planned!.Label);
    }

    [Fact]
    public void A_last_change_with_lost_tracking_reads_all_of_the_stopped_disks_first()
    {
        SourceWorld world = new(Seed());
        world.FillDisks();
        HandOver walk = new(world) { AfterStop = () => world.Vm.TrackingIsLost = true };
        world.RunUntil(() => walk.Step(), guestWrites: true);
        walk.AssertDone(resynchronised: true);
    }

    [Fact]
    public void A_disk_that_came_just_before_the_guest_was_off_is_whole_in_the_planned_point()
    {
        SourceWorld world = new(Seed());
        HandOver walk = new(world)
        {
            StopsAtTarget = true,
            AfterStop = () =>
            {
                world.Vm.AddDisk("vdc", 300);
                world.FillDisk(2);
            },
        };
        world.RunUntil(() => walk.Step());

        Assert.Contains("2:vdc:", world.Replica.DisksOfPoints[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_newer_line_is_learnt_while_nothing_is_sent_and_the_guest_stands_still_within_a_second_of_it()
    {
        SourceWorld world = new(Seed());
        DateTimeOffset? told = null;
        DateTimeOffset? stopped = null;
        world.RunUntil(() =>
        {
            if (told is null && world.Replica.Points.Count == 2 && world.Engine?.Status is { Wait: SourceWait.NextCycle, Connected: true })
            {
                told = world.Time.GetUtcNow();
                world.Replica.MoveTo(_second, told.Value);
            }

            stopped ??= world.Vm.State == VmRunState.Paused ? world.Time.GetUtcNow() : null;
            return world.Host?.Guest.Deposed?.StoppedAt is not null && world.Engine?.Status.Wait == SourceWait.OwnerDecision;
        });
        Assert.InRange(stopped!.Value - told!.Value, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        AssertDeposed(world, told.Value);
        Assert.Equal(2, world.Replica.Points.Count);
    }

    [Fact]
    public void A_source_that_was_cut_off_learns_of_the_newer_line_within_ten_seconds_of_the_link()
    {
        for (int run = 0; run < 20; run++)
        {
            SourceWorld world = new(Seed());
            Random random = new((int)world.Simulator.Seed);
            DateTimeOffset minted = default;
            DateTimeOffset? healed = null;
            DateTimeOffset cutFor = default;
            DateTimeOffset? stopped = null;
            world.RunUntil(() =>
            {
                DateTimeOffset now = world.Time.GetUtcNow();
                if (minted == default && world.Replica.Points.Count >= 2)
                {
                    minted = now;
                    cutFor = now + TimeSpan.FromSeconds(1 + random.Next(3000));
                    world.IsCutOff = true;
                    world.Network.CutAll();
                    world.Replica.MoveTo(_second, minted);
                }

                if (minted != default && healed is null && now >= cutFor)
                {
                    healed = now;
                    world.IsCutOff = false;
                }

                stopped ??= world.Vm.State == VmRunState.Paused ? now : null;
                return stopped is not null && world.Host!.Guest.Deposed is { Settled: true };
            });
            Assert.NotNull(healed);
            Assert.InRange(stopped!.Value - healed.Value, TimeSpan.Zero, TimeSpan.FromSeconds(10));
            AssertDeposed(world, minted);
        }
    }

    [Fact]
    public void An_offer_that_waits_at_the_target_is_taken_at_the_next_contact_and_the_guest_goes_on()
    {
        SourceWorld world = new(Seed());
        bool deposed = false;
        bool offered = false;
        int points = 0;
        world.RunUntil(() =>
        {
            if (!deposed && world.Replica.Points.Count == 3 && world.Engine?.Status.Wait == SourceWait.NextCycle)
            {
                deposed = true;
                points = world.Replica.Points.Count;
                world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            }

            if (deposed && !offered && world.Vm.State == VmRunState.Paused)
            {
                offered = true;
                world.Replica.MoveTo(_third, world.Time.GetUtcNow(), new LineOffer(_back, world.Replica.LastPoint!.Value));
            }

            return offered && world.Replica.Points.Count >= points + 2;
        });
        Assert.Equal(VmRunState.Running, world.Vm.State);
        Assert.Null(world.Host!.Guest.Deposed);
        Assert.Equal(_third, world.Engine!.Spec.Line);
        Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
    }

    /// <summary>An agent whose disk took no writes had paused it for a newer line, and died before anything of that was durable.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(false, true)] // libvirtd of a host that has just booted: the offer is heard again
    public void A_guest_that_stands_still_with_no_note_of_why_goes_on_when_the_vm_comes_back(bool byOrder, bool callFails)
    {
        SourceWorld world = new(Seed());
        bool offered = false;
        int points = 0;
        Task? accepting = null;
        world.RunUntil(() =>
        {
            if (!offered && world.Replica.Points.Count == 3 && world.Engine?.Status.Wait == SourceWait.NextCycle)
            {
                offered = true;
                points = world.Replica.Points.Count;
                world.Vm.State = VmRunState.Paused;
                if (callFails)
                {
                    world.Vm.FailNext["state"] = new HypervisorException(HypervisorFault.Unreachable, "libvirt does not answer");
                }

                RecoveryPointId parent = world.Replica.LastPoint!.Value;
                world.Replica.MoveTo(_third, world.Time.GetUtcNow(), new LineOffer(_back, parent));
                accepting = byOrder ? world.Host!.AcceptAsync(_back, _third, parent, start: false, default).AsTask() : Task.CompletedTask;
            }

            return accepting is { IsCompleted: true } && world.Replica.Points.Count >= points + 2;
        });
        Assert.True(accepting!.IsCompletedSuccessfully);
        Assert.Empty(world.Vm.FailNext);
        Assert.Equal(VmRunState.Running, world.Vm.State);
        Assert.Equal(_third, world.Engine!.Spec.Line);
    }

    [Fact]
    public void A_vault_that_knows_of_a_newer_line_deposes_a_source_whose_link_is_down()
    {
        SourceWorld world = new(Seed());
        Task? deposing = null;
        DateTimeOffset at = default;
        world.RunUntil(() =>
        {
            if (deposing is null && world.Replica.Points.Count == 2)
            {
                world.IsCutOff = true;
                world.Network.CutAll();
                at = world.Time.GetUtcNow();
                deposing = world.Host!.DeposeAsync(_second, at, null, default).AsTask();
            }

            return deposing is { IsCompleted: true } && world.Vm.State == VmRunState.Paused;
        });
        Assert.True(deposing!.IsCompletedSuccessfully);
        AssertDeposed(world, at);
    }

    private static void AssertDeposed(SourceWorld world, DateTimeOffset minted)
    {
        DeposedSource deposed = world.Host!.Guest.Deposed!;
        Assert.Equal((SourceWorld.Line, _second), (deposed.Lost, deposed.Line));
        Assert.InRange(minted - deposed.MintedAt, TimeSpan.Zero, TimeSpan.FromMilliseconds(1)); // the wire's unit
        Assert.NotNull(deposed.StoppedAt);
        Assert.IsType<OwnershipState.Elsewhere>(world.Host.Ownership.Record.State);
        Assert.False(world.Guard.MayStart(world.Vm.Id));
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.Deposed);
    }

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
