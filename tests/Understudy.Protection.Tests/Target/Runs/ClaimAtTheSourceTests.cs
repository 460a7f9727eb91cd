using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>A human claims the VM at its source while something stands, or is being done, at the target.</summary>
public sealed class ClaimAtTheSourceTests(ITestOutputHelper output) : EveryDeath(output)
{
    private static readonly TransferId There = new(new Guid(1, 0, 0, new byte[8]));
    private static readonly TransferId Back = new(new Guid(2, 0, 0, new byte[8]));
    private static readonly LineId Claimed = LineSteps.Claim(SourceFeed.Line, random: 0);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_claim_ends_a_change_of_the_point_that_libvirt_held_up_whatever_dies(bool planned) => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(newest) with { Transfer = planned ? There : null }, default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        site.Machine.Failing.Add("Destroy");
        await Assert.ThrowsAnyAsync<UnderstudyException>(() => site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default).AsTask());
        Assert.Equal(FailoverStep.Stopping, site.Host.Status.Failover!.Step);

        bool died = await ClaimAsync(site, life);
        await AssertGaveWayAsync(site, newest, [older, newest]);
        return died;
    });

    [Fact]
    public Task A_claim_ends_a_cancel_that_libvirt_held_up_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(older), default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        site.Machine.Failing.Add("Destroy");
        await Assert.ThrowsAnyAsync<UnderstudyException>(() => site.Host.CancelAsync(new CancelOrder(Back, Guid.Empty, BranchDays: 7), default).AsTask());

        bool died = await ClaimAsync(site, life);
        await AssertGaveWayAsync(site, older, [older, newest]);
        return died;
    });

    [Fact]
    public Task A_claim_ends_a_failover_that_runs_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(newest), default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        bool died = await ClaimAsync(site, life);
        await AssertGaveWayAsync(site, newest, [newest]);
        return died;
    });

    [Fact]
    public async Task A_claim_ends_the_failover_that_a_test_was_being_turned_into_and_the_test()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        TestRequest test = ModelSite.Test(point);
        await site.Host.StartTestAsync(test, default);
        site.Machine.Failing.Add("Destroy");
        await Assert.ThrowsAnyAsync<UnderstudyException>(
            () => site.Host.StartFailoverAsync(ModelSite.Failover(point) with { FromTest = test.Id }, default).AsTask());
        Assert.Equal(FailoverStep.Promoting, site.Host.Status.Failover!.Step);

        await ClaimAsync(site, Life.Forever());
        Assert.Empty(site.Host.Status.Tests);
        Assert.Empty(site.Machine.Domains);
        Assert.Equal(BranchKind.PromotedTest, Assert.Single(site.Host.Status.Branches).Branch.Kind);
        Assert.Equal(Claimed, site.Host.Status.Replica!.Line);
    }

    [Fact]
    public Task A_committed_vm_stands_still_from_a_claim_on_whoever_resumes_it_and_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        await CommitAsync(site);
        site.Machine.Failing.Add("Suspend");
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.HeardAsync(Claimed, default).AsTask());
        Assert.IsType<OwnershipState.Elsewhere>(site.Host.Status.Ownership.State);
        Assert.False(site.Machine.Domains[SourceFeed.Vm].IsPaused);
        site.Machine.Failing.Clear();
        died |= await site.UntilAsync(() => site.Machine.Domains[SourceFeed.Vm].IsPaused, "the pause");
        await site.Hypervisor.ResumeAsync(SourceFeed.Vm, default);
        died |= await site.UntilAsync(() => site.Machine.Domains[SourceFeed.Vm].IsPaused, "the second pause");
        return died || life.IsOver;
    });

    [Fact]
    public async Task A_committed_vm_that_was_claimed_at_its_source_is_claimed_back_by_a_human_and_goes_on()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        await CommitAsync(site);
        await site.Host.HeardAsync(Claimed, default);
        await site.UntilAsync(() => site.Machine.Domains[SourceFeed.Vm].IsPaused, "the pause");

        LineId line = await site.Host.ClaimAsync(start: true, default);
        Assert.True(line.IsNewerThan(LineSteps.Next(Claimed, UInt128.MaxValue)));
        Assert.False(site.Machine.Domains[SourceFeed.Vm].IsPaused);
        Assert.Equal(line, site.Host.CurrentLine.Line); // What its source hears, and steps back from.
        Assert.True(site.Host.Status.Ownership.MayRun(site.Machine.Boot));
    }

    [Fact]
    public async Task A_claim_is_heard_while_a_commit_moves_disks_and_orders_are_refused_meanwhile()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        TaskCompletionSource copies = new(TaskCreationOptions.RunContinuationsAsynchronously);
        site.Hypervisor.CopiesWaitFor = copies.Task;
        Task<CommitOutcome> commit = site.Host.CommitAsync(default).AsTask();
        await site.UntilAsync(() => site.Host.Status.Failover is { Step: FailoverStep.Copying }, "the copy");

        foreach (Func<Task> order in (Func<Task>[])
        [
            () => site.Host.ChangePointAsync(new ChangePointOrder(point, BranchDays: 7), default).AsTask(),
            () => site.Host.CancelAsync(new CancelOrder(Back, Guid.Empty, BranchDays: 7), default).AsTask(),
            () => site.Host.StartFailoverAsync(ModelSite.Failover(point), default).AsTask(),
        ])
        {
            RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => order().WaitAsync(TimeSpan.FromSeconds(10)));
            Assert.Equal(RefusalCode.AlreadyCommitted, refused.Code);
        }

        await site.Host.RefuseTransferAsync(There, default).AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        await site.Host.HeardAsync(Claimed, default).AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(Claimed, site.Host.Status.Ownership.Line);
        await site.UntilAsync(() => site.Machine.Domains[SourceFeed.Vm].IsPaused, "the pause");
        Assert.False(commit.IsCompleted);
        copies.SetResult();
        await commit;
    }

    [Fact]
    public async Task A_branch_that_cannot_be_deleted_holds_up_no_claim()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(older), default);
        await site.Host.ChangePointAsync(new ChangePointOrder(newest, BranchDays: 7), default);
        site.Machine.Failing.Add(Assert.Single(site.Host.Status.Branches).Branch.Disks[0].Overlay);
        await site.UntilAsync(
            () =>
            {
                site.Time.Pass(TimeSpan.FromHours(12));
                return site.Host.Status.Error is StorageException;
            },
            "the branch's fault");

        await site.Host.HeardAsync(Claimed, default);
        await site.UntilAsync(() => site.Host.Status.Replica!.Line == Claimed, "the claim's line");
        Assert.Empty(site.Machine.Domains);
    }

    [Fact]
    public async Task A_move_to_another_point_is_not_answered_with_the_point_it_leaves()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(newest), default);
        site.Machine.Failing.Add("Destroy");
        await Assert.ThrowsAnyAsync<UnderstudyException>(() => site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default).AsTask());
        Assert.Equal(
            RefusalCode.Busy, (await Assert.ThrowsAsync<RefusedException>(() => site.Host.ChangePointAsync(new ChangePointOrder(newest, BranchDays: 7), default).AsTask())).Code);
        site.Machine.Failing.Clear();
        await site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default);
        Assert.Equal(older, site.Host.Status.Failover!.Point);

        site.Machine.Failing.Add("Destroy");
        await Assert.ThrowsAnyAsync<UnderstudyException>(() => site.Host.CancelAsync(new CancelOrder(Back, Guid.Empty, BranchDays: 7), default).AsTask());
        Assert.Equal(
            RefusalCode.Busy, (await Assert.ThrowsAsync<RefusedException>(() => site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default).AsTask())).Code);
    }

    private static async Task CommitAsync(ModelSite site)
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        Assert.Null((await site.Host.CommitAsync(default)).Pending);
    }

    /// <summary>The source says hello on the line of the claim; libvirt answers again when that is known.</summary>
    private static async Task<bool> ClaimAsync(ModelSite site, Life life)
    {
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.HeardAsync(Claimed, default).AsTask());
        Assert.IsType<OwnershipState.Elsewhere>(site.Host.Status.Ownership.State);
        site.Machine.Failing.Clear();
        died |= await site.UntilAsync(() => site.Host.Status is { Failover: null, Replica.Line: var line } && line == Claimed, "the claim's line");
        return died || life.IsOver;
    }

    /// <summary>What ran is a branch on its point, nothing else is left of it, and the source's next record is taken.</summary>
    private static async Task AssertGaveWayAsync(ModelSite site, RecoveryPointId ranFrom, RecoveryPointId[] points)
    {
        if (site.Life.IsOver)
        {
            Assert.True(await site.NextAgentAsync(Life.Forever()));
        }

        Assert.Empty(site.Machine.Domains);
        Assert.Equal(Claimed, site.Host.Status.Ownership.Line);
        Assert.IsType<OwnershipState.Elsewhere>(site.Host.Status.Ownership.State);
        BranchRecord branch = Assert.Single(site.Host.Status.Branches).Branch;
        Assert.Equal((BranchKind.CancelledFailover, ranFrom), (branch.Kind, branch.Point));
        Assert.Equal([1], site.Machine.Image(branch.Disks[0].Overlay).Written.Keys);
        Assert.Equal(
            branch.Disks.Select(disk => disk.Overlay).Order(StringComparer.Ordinal), site.Machine.ImagePaths().Where(image => image.Contains("failover-", StringComparison.Ordinal)));
        Assert.DoesNotContain(site.Machine.DaemonNames(), daemon => daemon.StartsWith("run-", StringComparison.Ordinal));
        Assert.Equal(points, site.Host.Points.Select(point => point.Id));
        site.Source.GoOn(Claimed, points[^1]);
        RecoveryPointId next = await site.Source.PointAsync(site.Host.Sink);
        Assert.Equal(next, site.Host.Points[^1].Id);
    }
}
