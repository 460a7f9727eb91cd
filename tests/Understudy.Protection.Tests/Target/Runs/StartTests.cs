using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>A storage daemon that dies in the moment in which QEMU opens its disks.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task A_failover_whose_daemon_dies_at_the_start_gets_another_and_runs()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        KillDaemonsOnce(site);

        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);

        Assert.Equal(FailoverStep.Running, site.Host.Status.Failover!.Step);
        Assert.NotNull(site.Machine.Domains[SourceFeed.Vm].Live);
    }

    /// <summary>By hand, as soon as the guard let it, and paused before anybody here looked: a failover ends with a VM that runs.</summary>
    [Fact]
    public async Task A_VM_that_somebody_has_started_and_paused_runs_when_the_failover_is_over()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        bool paused = false;
        site.Hypervisor.BeforeState = async vm =>
        {
            if (!paused && site.Machine.Domains.TryGetValue(vm, out ModelDomain? domain) && domain.Live is null && site.Machine.Guarded.GetValueOrDefault(vm)?.MayRun(site.Machine.Boot) == true)
            {
                paused = true;
                await site.Hypervisor.StartAsync(vm, default);
                await site.Hypervisor.SuspendAsync(vm, default);
            }
        };

        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);

        Assert.True(paused);
        Assert.Equal(VmRunState.Running, await site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
    }

    [Fact]
    public async Task A_test_whose_daemon_dies_at_the_start_gets_another_and_runs()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        KillDaemonsOnce(site);

        await site.Host.StartTestAsync(ModelSite.Test(point), default);

        Assert.Equal(TestStep.Running, Assert.Single(site.Host.Status.Tests).Step);
    }

    [Fact]
    public async Task A_start_that_fails_for_another_reason_is_not_tried_twice()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        int starts = 0;
        site.Hypervisor.BeforeStart = () =>
        {
            starts++;
            throw new HypervisorException(HypervisorFault.Other, "no memory");
        };

        await Assert.ThrowsAsync<HypervisorException>(() => site.Host.StartTestAsync(ModelSite.Test(point), default).AsTask());

        Assert.Equal(1, starts);
        Assert.Empty(site.Host.Status.Tests);
    }

    /// <summary>Whoever promotes a test must not be told that it was done when somebody else failed the VM over from the same point: the test stands.</summary>
    [Fact]
    public async Task A_failover_that_stands_is_not_taken_for_the_promotion_of_a_test_of_its_point()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        TestRequest test = ModelSite.Test(point);
        await site.Host.StartTestAsync(test, default);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);

        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(
            () => site.Host.StartFailoverAsync(ModelSite.Failover(point) with { FromTest = test.Id }, default).AsTask());

        Assert.Equal(RefusalCode.AlreadyFailedOver, refused.Code);
        Assert.Equal(TestStep.Running, Assert.Single(site.Host.Status.Tests).Step);
    }

    private static void KillDaemonsOnce(ModelSite site) => site.Hypervisor.BeforeStart = () =>
    {
        site.Hypervisor.BeforeStart = null;
        lock (site.Machine.Lock)
        {
            foreach (string daemon in site.Machine.Daemons.Keys.Where(name => name.StartsWith("run-", StringComparison.Ordinal)).ToArray())
            {
                site.Machine.Daemons.Remove(daemon);
            }
        }
    };
}
