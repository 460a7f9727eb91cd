using Understudy.Model;
using Understudy.Vault.Agents;

namespace Understudy.Vault.Tests;

public sealed class AgentRegistryTests
{
    [Fact]
    public async Task A_clock_that_was_set_back_makes_nobody_wait_longer_for_a_host_that_is_absent()
    {
        MovableTime time = new();
        AgentRegistry registry = new(new Changes(), time);
        time.Advance(-TimeSpan.FromDays(100)); // more than a timer takes

        Assert.False(await registry.IsThereAsync(new HostId(Guid.NewGuid()), TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
    }
}
