using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class OldDisksTests
{
    [Fact]
    public void The_old_disks_of_a_source_go_only_when_nothing_can_come_back_to_them()
    {
        ProtectionState[] may = [.. LifeCycle.States.Where(state => OldDisks.WhyKept(new VmSituation { Vm = "web1", State = state }) is null)];
        Assert.Equal([ProtectionState.Unprotected, ProtectionState.FailedOver], may);
        Assert.Equal("not-committed", OldDisks.WhyKept(new VmSituation { Vm = "web1", State = ProtectionState.CommitPending })?.Code);
    }
}
