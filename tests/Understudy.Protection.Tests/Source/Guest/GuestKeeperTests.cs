using Understudy.Blocks;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Source.Guest;
using Understudy.Protection.Tests.Target.World;
using static Understudy.Protection.Tests.Source.Guest.KeeperWorld;

namespace Understudy.Protection.Tests.Source.Guest;

public sealed class GuestKeeperTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    [Fact]
    public async Task A_fence_leaves_the_guest_alone_and_lets_nothing_start_it()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        await world.Keeper.FenceAsync("planned failover", default);
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Running, world.Guest.State);
        Assert.False(world.Guard.MayStart(Vm));
    }

    [Fact]
    public async Task A_guest_is_shut_down_only_behind_a_fence()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(async () => await world.Keeper.StopAsync(false, Long, default));
        Assert.Equal(RefusalCode.NotFenced, refused.Code);
        Assert.Equal(0, world.Guest.Requests);
    }

    [Fact]
    public async Task A_guest_that_does_not_listen_is_asked_every_ten_seconds_and_the_time_out_is_no_error()
    {
        KeeperWorld world = await new KeeperWorld(guest: it => new ModelGuest(Vm, () => it.Guard.MayStart(Vm)) { Listens = 4 }).BeginAsync();
        await world.Keeper.FenceAsync("planned failover", default);
        GuestStop late = await world.PassTimeAsync(world.Keeper.StopAsync(false, TimeSpan.FromSeconds(25), default).AsTask());
        Assert.False(late.Off);
        Assert.Equal(3, world.Guest.Requests);
        GuestStop stopped = await world.PassTimeAsync(world.Keeper.StopAsync(false, Long, default).AsTask());
        Assert.True(stopped.Off);
        Assert.Equal(VmRunState.Off, world.Guest.State);
    }

    [Fact]
    public async Task A_guest_can_be_ended_without_asking_it()
    {
        KeeperWorld world = await new KeeperWorld(guest: it => new ModelGuest(Vm, () => it.Guard.MayStart(Vm)) { Listens = int.MaxValue }).BeginAsync();
        await world.Keeper.FenceAsync("planned failover", default);
        GuestStop ended = await world.PassTimeAsync(world.Keeper.StopAsync(true, Long, default).AsTask());
        Assert.True(ended is { Off: true, PoweredOff: true });
        GuestStop again = await world.PassTimeAsync(world.Keeper.StopAsync(true, Long, default).AsTask()); // The first answer was lost.
        Assert.True(again is { Off: true, PoweredOff: true });
    }

    [Fact]
    public async Task A_guest_that_has_shut_down_before_it_could_be_ended_was_not_powered_off()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        await world.Keeper.FenceAsync("planned failover", default);
        await world.PassTimeAsync(world.Keeper.StopAsync(false, Long, default).AsTask());
        GuestStop late = await world.PassTimeAsync(world.Keeper.StopAsync(true, Long, default).AsTask());
        Assert.True(late is { Off: true, PoweredOff: false });
    }

    [Theory]
    [InlineData(true, VmRunState.Running)]
    [InlineData(false, VmRunState.Off)]
    public async Task Undoing_a_fence_starts_the_guest_when_that_is_wanted(bool start, VmRunState then)
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        await world.Keeper.FenceAsync("planned failover", default);
        await world.PassTimeAsync(world.Keeper.StopAsync(false, Long, default).AsTask());
        await world.Keeper.UnfenceAsync(start, default);
        Assert.Equal(then, world.Guest.State);
        Assert.True(world.Guard.MayStart(Vm));
    }

    [Fact]
    public async Task A_guest_that_is_stopped_behind_a_fence_is_not_started_by_the_keeper()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        await world.Keeper.FenceAsync("planned failover", default);
        await world.PassTimeAsync(world.Keeper.StopAsync(false, Long, default).AsTask());
        await world.NextAsync(Life.Forever());
        await world.Keeper.TendAsync(default);
        Assert.Equal((VmRunState.Off, 0), (world.Guest.State, world.Guest.Starts));
    }

    [Fact]
    public async Task A_deposed_guest_is_paused_and_the_overlap_is_said()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        DateTimeOffset minted = world.Time.GetUtcNow();
        world.Time.Advance(TimeSpan.FromSeconds(90));
        await world.Token.TakeAsync(new OwnershipMessage.Learn(Second, minted, world.Time.GetUtcNow()), default);
        await world.Keeper.TendAsync(default);

        Assert.Equal(VmRunState.Paused, world.Guest.State);
        SourceEvent said = Assert.Single(world.Events);
        Assert.Equal(SourceEventKind.Deposed, said.Kind);
        Assert.Contains("both may have run for 90 s", said.What, StringComparison.Ordinal);
        DeposedSource deposed = world.Keeper.Deposed!;
        Assert.Equal((First, Second, minted, (DateTimeOffset?)world.Time.GetUtcNow()), (deposed.Lost, deposed.Line, deposed.MintedAt, deposed.StoppedAt));
        Assert.Contains(deposed.Branch.ToString(), said.Remedy, StringComparison.Ordinal);

        await world.NextAsync(Life.Forever());
        await world.Keeper.TendAsync(default);
        Assert.Single(world.Events);
        Assert.Equal(deposed, world.Keeper.Deposed);
    }

    [Fact]
    public async Task A_deposed_guest_that_was_off_ran_nowhere_twice()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        world.Guest.State = VmRunState.Off;
        await LearnAsync(world);
        SourceEvent said = Assert.Single(world.Events);
        Assert.Equal(SourceEventKind.OwnedElsewhere, said.Kind);
        Assert.Equal((true, null), (world.Keeper.Deposed!.Settled, world.Keeper.Deposed.StoppedAt));
    }

    [Fact]
    public async Task A_guest_that_a_planned_failover_had_stopped_is_no_overlap_when_it_is_deposed()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        await world.Keeper.FenceAsync("planned failover", default);
        await world.PassTimeAsync(world.Keeper.StopAsync(false, Long, default).AsTask());
        await LearnAsync(world);
        Assert.Equal(SourceEventKind.OwnedElsewhere, Assert.Single(world.Events).Kind);
    }

    [Fact]
    public async Task A_deposed_guest_shuts_down_where_that_is_the_policy_and_is_paused_when_it_does_not()
    {
        foreach (int listens in (int[])[2, int.MaxValue])
        {
            KeeperWorld world = await new KeeperWorld(guest: it => new ModelGuest(Vm, () => it.Guard.MayStart(Vm)) { Listens = listens })
            {
                WhenDeposed = DeposedAction.ShutDown,
            }.BeginAsync();
            await LearnAsync(world);
            Assert.Equal((VmRunState.Running, 1), (world.Guest.State, world.Guest.Requests));
            Assert.Empty(world.Events);
            for (int second = 0; second < 130; second++)
            {
                world.Time.Advance(TimeSpan.FromSeconds(1));
                await world.Keeper.TendAsync(default);
            }

            Assert.Equal(listens == 2 ? VmRunState.Off : VmRunState.Paused, world.Guest.State);
            Assert.NotNull(world.Keeper.Deposed!.StoppedAt);
            Assert.Equal(SourceEventKind.Deposed, Assert.Single(world.Events).Kind);
        }
    }

    [Fact]
    public async Task A_deposed_guest_is_cut_from_its_networks_where_that_is_the_policy_and_plugged_in_when_it_comes_home()
    {
        KeeperWorld world = await new KeeperWorld { WhenDeposed = DeposedAction.CutNics }.BeginAsync();
        await LearnAsync(world);
        Assert.Equal((VmRunState.Running, false), (world.Guest.State, world.Guest.LinksAreUp));
        Assert.NotNull(world.Keeper.Deposed!.StoppedAt);
        await world.Token.TakeAsync(new OwnershipMessage.Accept(Transfer, Third, Point, null), default);
        await world.Keeper.TendAsync(default);
        Assert.True(world.Guest.LinksAreUp);
        Assert.Null(world.Keeper.Deposed);
    }

    [Fact]
    public async Task A_deposed_guest_that_was_paused_goes_on_when_the_vm_comes_home()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        await LearnAsync(world);
        await world.Token.TakeAsync(new OwnershipMessage.Accept(Transfer, Third, Point, null), default);
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Running, world.Guest.State);
        Assert.Null(world.Keeper.Deposed);
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Running, world.Guest.State);
    }

    [Fact]
    public async Task Somebody_who_resumes_a_deposed_guest_finds_it_paused_again_and_that_is_said()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        await LearnAsync(world);
        await world.Guest.ResumeAsync(Vm, default);
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Paused, world.Guest.State);
        Assert.Equal([SourceEventKind.Deposed, SourceEventKind.StartedAnyway], world.Events.Select(said => said.Kind));
    }

    [Fact]
    public async Task A_guest_that_runs_although_the_vm_was_handed_over_is_paused()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync(new OwnershipState.Elsewhere());
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Paused, world.Guest.State);
        Assert.Equal(SourceEventKind.StartedAnyway, Assert.Single(world.Events).Kind);
        Assert.Null(world.Keeper.Deposed);
    }

    [Fact]
    public async Task After_a_boot_a_guest_with_autostart_is_started_once_somebody_has_said_that_it_is_still_owned_here()
    {
        KeeperWorld world = await new KeeperWorld("boot-2", it => new ModelGuest(Vm, () => it.Guard.MayStart(Vm)) { Autostart = true, State = VmRunState.Off })
            .BeginAsync(new OwnershipState.Here("boot-1"));
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Off, world.Guest.State);
        Assert.False(world.Guard.MayStart(Vm));

        await world.Token.TakeAsync(new OwnershipMessage.Validate(), default);
        await world.NextAsync(Life.Forever()); // An agent that died just then has not forgotten it.
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Running, world.Guest.State);

        world.Guest.State = VmRunState.Off; // Its user shut it down: that is not undone.
        await world.Token.TakeAsync(new OwnershipMessage.Validate(), default);
        await world.NextAsync(Life.Forever());
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Off, world.Guest.State);
    }

    [Fact]
    public async Task A_hypervisor_that_is_down_is_said_and_tried_again()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        world.Guest.Down = new HypervisorException(HypervisorFault.Unreachable, "libvirtd does not answer");
        await world.Token.TakeAsync(new OwnershipMessage.Learn(Second, world.Time.GetUtcNow(), world.Time.GetUtcNow()), default);
        using CancellationTokenSource stop = new();
        Task running = world.Keeper.RunAsync(stop.Token);
        await TimeUntilAsync(world, () => world.Keeper.Fault is not null);
        world.Guest.Down = null;
        await TimeUntilAsync(world, () => world.Guest.State == VmRunState.Paused && world.Keeper.Fault is null);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    /// <summary>Two copies that run cost data; a pause that cannot be noted costs a person's look at most.</summary>
    [Fact]
    public async Task A_deposed_guest_stands_still_also_while_the_disk_takes_no_note_of_it_and_is_told_of_later()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        OwnershipMessage news = new OwnershipMessage.Learn(Second, world.Time.GetUtcNow(), world.Time.GetUtcNow());
        world.DiskIsFull = true;
        await Assert.ThrowsAsync<StorageException>(async () => await world.Token.TakeAsync(news, default));
        await Assert.ThrowsAsync<StorageException>(async () => await world.Keeper.TendAsync(default));
        Assert.Equal(VmRunState.Paused, world.Guest.State);

        world.DiskIsFull = false;
        await world.Keeper.TendAsync(default); // What was heard is not forgotten because something else could be written.
        Assert.Equal((VmRunState.Paused, true), (world.Guest.State, world.Token.HeardOfNewer));

        await world.Token.TakeAsync(news, default);
        await world.Keeper.TendAsync(default);
        Assert.Equal(SourceEventKind.Deposed, Assert.Single(world.Events).Kind);
        Assert.False(world.Token.HeardOfNewer);

        await world.Token.TakeAsync(new OwnershipMessage.Accept(Transfer, Third, Point, null), default);
        await world.Keeper.TendAsync(default);
        Assert.Equal(VmRunState.Running, world.Guest.State);
    }

    [Fact]
    public async Task A_guest_that_stood_in_an_io_error_was_not_off()
    {
        KeeperWorld world = await new KeeperWorld().BeginAsync();
        world.Guest.State = VmRunState.PausedIoError;
        await world.Token.TakeAsync(new OwnershipMessage.Learn(Second, world.Time.GetUtcNow(), world.Time.GetUtcNow()), default);
        await world.Keeper.TendAsync(default);
        await world.Keeper.TendAsync(default);
        Assert.Equal(SourceEventKind.Deposed, Assert.Single(world.Events).Kind);
    }

    /// <summary>The agent dies before its n-th call to disk, guard or hypervisor, for every n; the order is given again.</summary>
    [Fact]
    public async Task A_planned_stop_and_its_undoing_end_the_same_whatever_dies() => await ForEveryDeathAsync(
        (world, order) => order(async () =>
        {
            await world.Keeper.FenceAsync("planned failover", default);
            await world.PassTimeAsync(world.Keeper.StopAsync(false, Long, default).AsTask());
            await world.Keeper.UnfenceAsync(start: true, default);
        }),
        world =>
        {
            Assert.Equal(VmRunState.Running, world.Guest.State);
            Assert.True(world.Guard.MayStart(Vm));
        });

    [Fact]
    public async Task A_deposed_guest_is_paused_and_comes_home_whatever_dies() => await ForEveryDeathAsync(
        async (world, order) =>
        {
            await order(async () =>
            {
                await world.Token.TakeAsync(new OwnershipMessage.Learn(Second, world.Time.GetUtcNow(), world.Time.GetUtcNow()), default);
                await world.Keeper.TendAsync(default);
            });
            Assert.Equal(VmRunState.Paused, world.Guest.State);
            Assert.NotNull(world.Keeper.Deposed?.StoppedAt);
            Assert.Contains(world.Events, said => said.Kind == SourceEventKind.Deposed);
            await order(async () =>
            {
                await world.Token.TakeAsync(new OwnershipMessage.Accept(Transfer, Third, Point, null), default);
                await world.Keeper.TendAsync(default);
            });
        },
        world =>
        {
            Assert.Equal(VmRunState.Running, world.Guest.State);
            Assert.Null(world.Keeper.Deposed);
            Assert.True(world.Guard.MayStart(Vm));
        });

    private static async Task LearnAsync(KeeperWorld world)
    {
        await world.Token.TakeAsync(new OwnershipMessage.Learn(Second, world.Time.GetUtcNow(), world.Time.GetUtcNow()), default);
        await world.Keeper.TendAsync(default);
    }

    private static async Task TimeUntilAsync(KeeperWorld world, Func<bool> done)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(20));
        while (!done())
        {
            limit.Token.ThrowIfCancellationRequested();
            world.Time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(1, limit.Token); // The keeper's own loop runs beside this; the model's clock is moved for it.
        }
    }

    private static async Task ForEveryDeathAsync(Func<KeeperWorld, Func<Func<Task>, Task>, Task> story, Action<KeeperWorld> end)
    {
        int calls = 0;
        for (bool died = true; died; calls++)
        {
            KeeperWorld world = await new KeeperWorld().BeginAsync();
            Life life = new(calls);
            bool over = false;
            try
            {
                await world.NextAsync(life);
            }
            catch (AgentDiedException)
            {
                over = true;
                await world.NextAsync(Life.Forever());
            }

            await story(world, async order =>
            {
                try
                {
                    await order();
                }
                catch (AgentDiedException)
                {
                    over = true;
                    await world.NextAsync(Life.Forever());
                    await world.Keeper.TendAsync(default); // As its loop does.
                    await order();
                }
            });
            end(world);
            died = over;
        }

        Assert.True(calls > 10, $"only {calls} calls");
    }
}
