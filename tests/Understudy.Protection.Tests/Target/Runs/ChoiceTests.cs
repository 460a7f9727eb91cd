using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>Choices for one run, and what a change of the point does with them (CFG-6).</summary>
public sealed class ChoiceTests
{
    private const string Mac = "52:54:00:aa:bb:01";

    [Fact]
    public async Task A_change_of_the_point_keeps_what_the_run_was_given_but_for_what_the_order_names()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        FailoverRequest request = ModelSite.Failover(newest) with { VmName = "web1-dr", Cards = [new CardPlan(Mac, "dmz")], Size = new VmSize(4, 2L << 30) };
        await site.Host.StartFailoverAsync(request, default);
        await site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7, Cpus: 0), default);

        FailoverRecord run = site.Host.Status.Failover!; // it runs
        Assert.Equal(("web1-dr", new VmSize(null, 2L << 30), new CardPlan(Mac, "dmz")), (run.VmName, run.Size, Assert.Single(run.Cards)));
    }

    [Fact]
    public async Task The_same_point_under_another_name_is_a_change_and_the_same_once_more_is_none()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        ChangePointOrder order = new(point, BranchDays: 7, VmName: "web1-dr", Cards: [new CardPlan(Mac.ToUpperInvariant(), "dmz", "52:54:00:00:00:99")], MemoryBytes: 2L << 30);
        LineId changed = (await site.Host.ChangePointAsync(order, default)).Line;
        LineId again = (await site.Host.ChangePointAsync(order, default)).Line;

        Assert.Equal(changed, again);
        Assert.Equal(BranchKind.ChangedPoint, Assert.Single(site.Host.Status.Branches).Branch.Kind);
        Assert.Equal("web1-dr", (await site.Hypervisor.FindVmAsync(SourceFeed.Vm, default))?.Name);
        string definition = await site.Hypervisor.GetDefinitionAsync(SourceFeed.Vm, DefinitionKind.Inactive, default);
        Assert.Contains("52:54:00:00:00:99", definition, StringComparison.Ordinal);
        Assert.Contains("<source network=\"dmz\"", definition.Replace('\'', '"'), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_change_to_a_name_that_another_vm_has_is_refused_and_the_guest_runs_on()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        TestStarted test = await site.Host.StartTestAsync(new TestRequest(Guid.NewGuid(), older, "trial", TestNetworkKind.None, []), default);
        await site.Host.StartFailoverAsync(ModelSite.Failover(newest), default);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(
            () => site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7, VmName: test.VmName), default).AsTask());

        Assert.Equal(RefusalCode.NameTaken, refused.Code);
        Assert.Equal((FailoverStep.Running, newest), (site.Host.Status.Failover?.Step, site.Host.Status.Failover?.Point));
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("52:54:00:00:00:99", false)]
    public async Task A_card_of_a_test_is_where_the_test_says_and_the_rest_is_in_the_bubble(string? mac, bool random)
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        TestRequest request = new(Guid.NewGuid(), point, "trial", TestNetworkKind.Bubble, [new TestCard(Mac, "dmz", InBubble: false, mac)]);
        TestStarted test = await site.Host.StartTestAsync(request, default);
        string definition = await site.Hypervisor.GetDefinitionAsync(site.Host.Status.Tests[0].TestVm, DefinitionKind.Inactive, default);

        Assert.Contains("dmz", definition, StringComparison.Ordinal);
        Assert.DoesNotContain(Mac, definition, StringComparison.Ordinal);
        Assert.Equal(!random, mac is not null && definition.Contains(mac, StringComparison.Ordinal));
        Assert.NotNull(test.Network);
        await site.Host.CompleteTestAsync(request.Id, null, default);
        Assert.Empty(site.Machine.Networks);
    }
}
