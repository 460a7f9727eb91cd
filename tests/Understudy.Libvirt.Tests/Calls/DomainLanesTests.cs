using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;

namespace Understudy.Libvirt.Tests.Calls;

public sealed class DomainLanesTests
{
    private static readonly VmId Vm = new(Guid.NewGuid());

    /// <summary>Its caller may have gone; who waited behind it for the whole limit is the one that knows.</summary>
    [Fact]
    public async Task The_one_inside_is_overdue_when_one_behind_it_says_so_and_nobody_else_ever_is()
    {
        DomainLanes lanes = new();
        lanes.MarkOverdue(Vm, Lane.Storage); // nobody is inside
        Assert.False(lanes.IsOverdue(Vm, Lane.Storage));

        DomainLanes.Stay? first = await lanes.EnterAsync(Vm, Lane.Storage, default);
        lanes.MarkOverdue(Vm, Lane.Storage);
        Assert.True(lanes.IsOverdue(Vm, Lane.Storage));
        Assert.False(lanes.IsOverdue(Vm, Lane.Query));

        ValueTask<DomainLanes.Stay?> second = lanes.EnterAsync(Vm, Lane.Storage, default);
        first?.Dispose();
        using DomainLanes.Stay? inside = await second;
        Assert.False(lanes.IsOverdue(Vm, Lane.Storage));
    }
}
