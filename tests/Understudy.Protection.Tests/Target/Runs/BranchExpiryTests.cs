using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>A branch may be the only copy of what ran: it goes when its time is over, and by nothing that only looks so.</summary>
public sealed class BranchExpiryTests
{
    /// <summary>A replica has a dozen loops, and each of them goes round some ten times in it.</summary>
    private const int RoundsOfAll = 150;

    [Fact(Timeout = 60_000)]
    public async Task A_clock_that_was_set_ahead_does_not_delete_a_branch()
    {
        await using ModelSite site = await WithBranchAsync();

        site.Time.Shift = TimeSpan.FromDays(400);
        await LooksAsync(site);
        Assert.Single(site.Host.Status.Branches);

        site.Time.Shift = TimeSpan.Zero;
        await LooksAsync(site);
        site.Time.Pass(BranchKeeper.DueBeforeDeletion);
        await LooksAsync(site);
        Assert.Single(site.Host.Status.Branches); // it was never due: the clock was mended
    }

    [Fact(Timeout = 60_000)]
    public async Task A_branch_goes_a_day_after_its_time()
    {
        await using ModelSite site = await WithBranchAsync();

        site.Time.Pass(TimeSpan.FromDays(7));
        await LooksAsync(site);
        Assert.Single(site.Host.Status.Branches);

        site.Time.Pass(BranchKeeper.DueBeforeDeletion);
        while (site.Host.Status.Branches.Count > 0) // the test's time limit ends it when nobody deletes
        {
            await LooksAsync(site);
        }

        Assert.DoesNotContain(site.Machine.ImagePaths(), image => image.Contains("failover-", StringComparison.Ordinal));
    }

    /// <summary>An order that is repeated when the VM has been failed over again would end that failover, under a number that its source has
    /// taken once and takes no second time.</summary>
    [Fact]
    public async Task A_cancel_that_is_repeated_after_another_failover_is_not_for_that_one()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        CancelOrder order = new(new TransferId(Guid.NewGuid()), Guid.NewGuid(), BranchDays: 7);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        FailoverCancelled cancelled = await site.Host.CancelAsync(order, default);
        Assert.Equal(cancelled, await site.Host.CancelAsync(order, default));
        await site.Host.SettleTransferAsync(order.Transfer, default);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);

        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => site.Host.CancelAsync(order, default).AsTask());

        Assert.Equal(RefusalCode.TransferOutdated, refused.Code);
        Assert.Equal(FailoverStep.Running, site.Host.Status.Failover!.Step);
        Assert.NotNull(site.Machine.Domains[SourceFeed.Vm].Live);
    }

    /// <summary>However long the machine takes for that.</summary>
    private static async Task LooksAsync(ModelSite site)
    {
        long enough = site.Time.Pauses + RoundsOfAll;
        while (site.Time.Pauses < enough)
        {
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }
    }

    private static async Task<ModelSite> WithBranchAsync()
    {
        ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        await site.Host.CancelAsync(new CancelOrder(new TransferId(Guid.NewGuid()), Guid.NewGuid(), BranchDays: 7), default);
        Assert.Single(site.Host.Status.Branches);
        return site;
    }
}
