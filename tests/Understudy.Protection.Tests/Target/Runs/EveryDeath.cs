using Understudy.Protection.Target;
using Understudy.Protection.Tests.Target.World;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>
/// The agent dies before its n-th call to the outside, for every n there is; the next agent is asked for the same again.
/// Whatever the moment, the story has to end the same.
/// </summary>
public abstract class EveryDeath(ITestOutputHelper output)
{
    /// <summary>More calls than any of these orders makes: an order that never ends is a failure too.</summary>
    private const int MostCalls = 800;

    /// <summary>True when the agent died of its very beginning.</summary>
    private protected static async Task<bool> BeginAsync(ModelSite site, Life life)
    {
        try
        {
            await site.NextAgentAsync(life);
            return false;
        }
        catch (AgentDiedException)
        {
            await site.NextAgentAsync(Life.Forever());
            return true;
        }
    }

    /// <summary>Gives an order until it is carried out; true when an agent died of it.</summary>
    private protected static async Task<bool> OrderAsync(ModelSite site, Func<ReplicaHost, Task> order)
    {
        bool died = false;
        if (site.Life.IsOver)
        {
            Assert.True(await site.NextAgentAsync(Life.Forever()));
            died = true;
        }

        try
        {
            await order(site.Host);
        }
        catch (Exception) when (site.Life.IsOver)
        {
            died = true;
            Assert.True(await site.NextAgentAsync(Life.Forever()));
            await order(site.Host);
        }

        return died;
    }

    private protected virtual async Task<ModelSite> MakeAsync()
    {
        ModelSite site = new();
        await site.CreateAsync();
        return site;
    }

    private protected async Task ForEveryDeathAsync(Func<ModelSite, Life, Task<bool>> story)
    {
        for (int calls = 0; calls < MostCalls; calls++)
        {
            await using ModelSite site = await MakeAsync();
            Life life = new(calls);
            try
            {
                if (!await story(site, life))
                {
                    output.WriteLine($"{calls} deaths");
                    Assert.True(calls > 10);
                    return;
                }
            }
            catch (Exception failed)
            {
                throw new InvalidOperationException($"the agent died before call {calls + 1} to the outside, {life.LastCall}: {failed.Message}", failed);
            }
        }

        Assert.Fail($"there is no end to the calls: {MostCalls}");
    }
}
