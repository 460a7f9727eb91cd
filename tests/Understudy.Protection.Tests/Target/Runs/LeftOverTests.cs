using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>What cannot be removed now is removed later, by itself, and the replica waits for none of it.</summary>
public sealed class LeftOverTests
{
    [Fact]
    public async Task A_test_that_cannot_be_removed_keeps_no_replica_closed_and_goes_when_it_can()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartTestAsync(ModelSite.Test(point), default);
        site.Hypervisor.KeepsNetworks = true;
        await Assert.ThrowsAsync<HypervisorException>(() => site.Host.CompleteTestAsync(ModelSite.Test(point).Id, note: null, default).AsTask());

        Assert.True(await site.NextAgentAsync(Life.Forever()));

        RecoveryPointId next = await site.Source.PointAsync(site.Host.Sink);
        Assert.Contains(site.Host.Points, listed => listed.Id == next);
        Assert.Equal(TestStep.Removing, Assert.Single(site.Host.Status.Tests).Step);
        await site.UntilAsync(() => site.Host.Status.Error?.Message.Contains("the network does not go", StringComparison.Ordinal) == true, "the reason why the test stands");
        site.Hypervisor.KeepsNetworks = false;
        await GoneAsync(site);
    }

    [Fact]
    public async Task A_test_that_comes_to_nothing_and_cannot_be_removed_says_why_it_did_and_goes_when_it_can()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        site.Hypervisor.KeepsNetworks = true;
        site.Hypervisor.BeforeStart = () => throw new HypervisorException(HypervisorFault.Other, "no memory");

        HypervisorException fault = await Assert.ThrowsAsync<HypervisorException>(() => site.Host.StartTestAsync(ModelSite.Test(point), default).AsTask());

        Assert.Contains("no memory", fault.Message, StringComparison.Ordinal);
        Assert.Single(site.Host.Status.Tests);
        site.Hypervisor.KeepsNetworks = false;
        await GoneAsync(site);
    }

    private static async Task GoneAsync(ModelSite site)
    {
        await site.UntilAsync(() => site.Host.Status.Tests.Count == 0, "the end of the test");
        Assert.Empty(site.Machine.Networks);
        Assert.Empty(site.Machine.Domains);
        Assert.DoesNotContain(site.Machine.ImagePaths(), image => image.Contains("test", StringComparison.Ordinal));
    }
}
