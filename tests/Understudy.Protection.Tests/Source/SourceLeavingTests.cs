using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Source.Guest;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>Claims by hand, and what is left of a source whose VM went for good.</summary>
public sealed class SourceLeavingTests
{
    private static readonly LineId _second = new(2, 8);

    [Fact]
    public void After_a_boot_a_human_may_start_the_vm_and_a_target_that_had_taken_it_over_still_wins()
    {
        SourceWorld world = new(Seed());
        Task? claiming = null;
        bool booted = false;
        bool ran = false;
        world.RunUntil(() =>
        {
            if (!booted && world.Replica.Points.Count == 2)
            {
                booted = true;
                world.IsCutOff = true;
                world.Reboot("boot-2");
                world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            }

            if (booted && claiming is null && world.AgentIsAlive && world.Host is { } host && host.Ownership.Boot == "boot-2")
            {
                Assert.False(world.Guard.MayStart(world.Vm.Id));
                claiming = host.ClaimAsync(start: true, default).AsTask();
            }

            if (claiming is { IsCompletedSuccessfully: true } && world.Vm.State == VmRunState.Running)
            {
                ran = true;
                world.IsCutOff = false;
            }

            return ran && world.Host!.Guest.Deposed is { Settled: true };
        });
        Assert.Equal(VmRunState.Paused, world.Vm.State);
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.Claimed);
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.Deposed);
    }

    /// <summary>An order had found the source just before the end of the protection took it away: it wrote its record anew, and a file stayed.</summary>
    [Fact]
    public async Task An_order_that_meets_the_end_of_the_protection_writes_nothing_after_it()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.UnprotectAsync(line: null, default);
            RefusedException late = await Assert.ThrowsAsync<RefusedException>(async () => await host.Guest.WillGoOnAsync(true, default));
            Assert.Equal(RefusalCode.NotProtected, late.Code);
            late = await Assert.ThrowsAsync<RefusedException>(async () => await host.FenceAsync("a planned failover", default));
            Assert.Equal(RefusalCode.NotProtected, late.Code);
        });
        Assert.Empty(world.Machine.Disk.ListAll("source/app"));
        Assert.True(world.Guard.MayStart(world.Vm.Id));
    }

    [Fact]
    public void A_vm_that_was_taken_over_is_claimed_back_and_its_replica_follows_without_a_resynchronisation()
    {
        SourceWorld world = new(Seed());
        Task<LineId>? claiming = null;
        bool taken = false;
        int points = 0;
        world.RunUntil(() =>
        {
            if (!taken && world.Replica.Points.Count == 3 && world.Engine?.Status.Wait == SourceWait.NextCycle)
            {
                taken = true;
                points = world.Replica.Points.Count;
                world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            }

            if (taken && claiming is null && world.Vm.State == VmRunState.Paused && world.Host!.Guest.Deposed is { Settled: true })
            {
                claiming = world.Host.ClaimAsync(start: true, default).AsTask();
            }

            if (claiming is { IsCompletedSuccessfully: true } && world.Replica.Current.Line == _second)
            {
                world.Replica.MoveTo(world.Host!.Ownership.Record.Line, world.Time.GetUtcNow()); // The target yields, as at every claim.
            }

            return claiming is not null && world.Replica.Points.Count >= points + 2;
        });
        LineId mintedMeanwhile = new(_second.Counter + 1000, UInt128.MaxValue); // Changes of the point that this side never heard of.
        Assert.True(world.Host!.Ownership.Record.Line.IsNewerThan(mintedMeanwhile));
        Assert.Equal(VmRunState.Running, world.Vm.State);
        Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
    }

    [Fact]
    public async Task A_retired_source_stays_blocked_and_listed_until_its_disks_are_deleted_by_name()
    {
        SourceWorld world = new(Seed());
        HandOver walk = new(world) { StopsAtTarget = true };
        world.RunUntil(() => walk.Step());
        OldDisksTests.AddImages(world);
        RetiredSource? retired = null;
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.RetireAsync(null, default);
            Assert.Null(await SourceHost.OpenAsync(environment, world.Policy, default));
            retired = await RetiredSource.OpenAsync(environment, default);
        });
        Assert.Equal(["/vda.qcow2", "/vdb.qcow2"], retired!.Kept.Disks);
        Assert.True(retired.Kept.IsRetired);
        Assert.False(world.Guard.MayStart(world.Vm.Id));
        Assert.Empty(world.Vm.CheckpointNames);

        await world.InProcessAsync(async environment =>
        {
            RetiredSource again = (await RetiredSource.OpenAsync(environment, default))!;
            Assert.Equal(retired.Kept.Branch, again.Kept.Branch);
            RefusedException unknown = await Assert.ThrowsAsync<RefusedException>(async () => await again.DeleteAsync(new BranchId(Guid.NewGuid()), default));
            Assert.Equal(RefusalCode.NoSuchBranch, unknown.Code);
            Assert.Empty(await again.DeleteAsync(retired.Kept.Branch, default));
            Assert.Null(await RetiredSource.OpenAsync(environment, default));
        });
        Assert.Empty(world.Images.Images);
        Assert.Equal(VmRunState.Absent, world.Vm.State);
        Assert.True(world.Guard.MayStart(world.Vm.Id));
        Assert.Empty(world.Machine.Disk.ListAll("source/app"));
    }

    /// <summary>It was cut off when the VM was failed over, committed and let go of at the other side: what ends it here is the
    /// only news that it will ever get, and its guest ran on.</summary>
    [Fact]
    public async Task A_source_that_was_away_hears_of_the_owner_when_it_is_retired_and_its_guest_is_stopped_first()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        OldDisksTests.AddImages(world);
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.RetireAsync(new NewerLine(_second, world.Time.GetUtcNow()), default);
            RetiredSource retired = (await RetiredSource.OpenAsync(environment, default))!;
            Assert.Equal((SourceWorld.Line, true), (retired.Kept.Lost, retired.Kept.IsRetired));
        });
        Assert.Equal(VmRunState.Paused, world.Vm.State);
        Assert.False(world.Guard.MayStart(world.Vm.Id));
    }

    [Fact]
    public async Task A_retired_source_whose_old_disks_were_deleted_before_leaves_nothing()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        OldDisksTests.AddImages(world);
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.DeposeAsync(_second, world.Time.GetUtcNow(), null, default);
            await host.DeleteKeptAsync(host.Kept!.Branch, default);
            await host.RetireAsync(null, default);
            Assert.Null(await SourceHost.OpenAsync(environment, world.Policy, default));
            Assert.Null(await RetiredSource.OpenAsync(environment, default));
        });
        Assert.Empty(world.Machine.Disk.ListAll("source/app"));
    }

    [Fact]
    public async Task A_protection_that_was_cut_short_before_it_began_leaves_nothing()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        await world.InProcessAsync(async environment =>
        {
            using (SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!)
            {
                await host.UnprotectAsync(null, default);
            }

            await using (await environment.Store.OpenAsync("source.state.new", FileOpen.New, default))
            {
                // The state of its next protection, which nobody came to write.
            }

            Assert.Null(await SourceHost.OpenAsync(environment, world.Policy, default));
        });
        Assert.Empty(world.Machine.Disk.ListAll("source/app"));
    }

    [Fact]
    public async Task A_vm_that_is_owned_here_is_not_retired()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            RefusedException refused = await Assert.ThrowsAsync<RefusedException>(async () => await host.RetireAsync(null, default));
            Assert.Equal(RefusalCode.NotFailedOver, refused.Code);
            Assert.NotNull(await SourceHost.OpenAsync(environment, world.Policy, default));
        });
    }

    /// <summary>The target may have accepted; only its word, or a line that came after, leads away.</summary>
    [Fact]
    public async Task A_source_whose_VM_is_in_transit_lets_go_only_of_a_line_that_is_newer()
    {
        SourceWorld world = new(Seed());
        HandOver walk = new(world) { StopsAtTarget = true, StopsAtOffer = true };
        world.RunUntil(() => walk.Step());
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            Assert.IsType<OwnershipState.Offered>(host.Ownership.Record.State);
            foreach (LineId? known in (LineId?[])[null, SourceWorld.Line])
            {
                RefusedException refused = await Assert.ThrowsAsync<RefusedException>(async () => await host.UnprotectAsync(known, default));
                Assert.Equal(RefusalCode.InTransit, refused.Code);
            }

            Assert.False(world.Guard.MayStart(world.Vm.Id));
            await host.UnprotectAsync(_second, default);
        });
        Assert.True(world.Guard.MayStart(world.Vm.Id));
    }

    /// <summary>Its vault had not heard of the failover: without the fence the VM would have run at both sides.</summary>
    [Fact]
    public async Task A_source_whose_VM_was_taken_over_lets_go_only_of_a_line_that_is_newer_still()
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.DeposeAsync(_second, world.Time.GetUtcNow(), null, default);
            foreach (LineId? known in (LineId?[])[null, SourceWorld.Line, _second])
            {
                RefusedException refused = await Assert.ThrowsAsync<RefusedException>(async () => await host.UnprotectAsync(known, default));
                Assert.Equal(RefusalCode.NotOwner, refused.Code);
            }

            Assert.False(world.Guard.MayStart(world.Vm.Id));
            await host.UnprotectAsync(new LineId(_second.Counter + 1, 9), default); // It was offered back, and never heard of that.
        });
        Assert.True(world.Guard.MayStart(world.Vm.Id));
        Assert.Empty(world.Machine.Disk.ListAll("source/app"));
    }

    /// <summary>Both were lawful when they were given. Without turns the VM would have run at both sides, with its old disks listed as such.</summary>
    [Fact]
    public async Task A_claim_that_comes_while_the_source_is_retired_is_refused()
    {
        SourceWorld world = new(Seed());
        HandOver walk = new(world) { StopsAtTarget = true };
        world.RunUntil(() => walk.Step());
        OldDisksTests.AddImages(world);
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            Task retiring = host.RetireAsync(null, default).AsTask();
            Task<LineId> claiming = host.ClaimAsync(start: true, default).AsTask();
            await retiring;
            RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => claiming);
            Assert.Equal(RefusalCode.NotProtected, refused.Code);
            Assert.NotNull(await RetiredSource.OpenAsync(environment, default));
        });
        Assert.False(world.Guard.MayStart(world.Vm.Id));
        Assert.NotEqual(VmRunState.Running, world.Vm.State);
    }

    /// <summary>Cut off from the network and left running, by policy, for whoever has to look into it.</summary>
    [Fact]
    public async Task Old_disks_of_a_copy_that_still_runs_are_not_deleted()
    {
        SourceWorld world = new(Seed());
        world.Policy = world.Policy with { WhenDeposed = DeposedAction.CutNics };
        world.RunUntil(() => world.Replica.Points.Count == 2);
        OldDisksTests.AddImages(world);
        int images = world.Images.Images.Count;
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.DeposeAsync(_second, world.Time.GetUtcNow(), null, default);
            Assert.Equal(VmRunState.Running, world.Vm.State);
            RefusedException refused = await Assert.ThrowsAsync<RefusedException>(async () => await host.DeleteKeptAsync(host.Kept!.Branch, default));
            Assert.Equal(RefusalCode.Busy, refused.Code);
            Assert.Equal((VmRunState.Running, images), (world.Vm.State, world.Images.Images.Count));

            world.Vm.State = VmRunState.Off;
            await host.DeleteKeptAsync(host.Kept!.Branch, default);
        });
        Assert.Empty(world.Images.Images);
    }

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
