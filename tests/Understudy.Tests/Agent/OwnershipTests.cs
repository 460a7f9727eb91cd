using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent;
using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.Tests.Agent;

public sealed class OwnershipTests
{
    [Fact]
    public async Task A_loop_that_was_stopped_has_ended_and_can_be_started_again()
    {
        int begun = 0;
        int ended = 0;
        await using OwnedLoop loop = new("a loop", RunAsync, NullLogger.Instance);
        for (int i = 1; i <= 2; i++)
        {
            loop.Start();
            await loop.DisposeAsync();
            Assert.Equal((i, i), (begun, ended));
        }

        async Task RunAsync(CancellationToken cancellationToken)
        {
            begun++;
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
            finally
            {
                ended++;
            }
        }
    }

    [Fact]
    public async Task A_broken_invariant_ends_its_own_loop_and_nothing_else()
    {
        await using OwnedLoop loop = new("a loop", _ => throw new InvariantException("broken"), NullLogger.Instance);

        loop.Start();
        await loop.DisposeAsync(); // Does not throw: the fault was said in the log.
    }

    [Fact]
    public void A_second_agent_on_a_data_folder_is_refused_until_the_first_has_ended()
    {
        string folder = Directory.CreateTempSubdirectory("us-agent-lock-").FullName;
        try
        {
            using (AgentLock.Take(folder))
            {
                Assert.Equal("agent-runs-already", Assert.Throws<ErrorException>(() => AgentLock.Take(folder)).Error.Code);
            }

            AgentLock.Take(folder).Dispose();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_host_that_has_not_joined_is_told_how()
    {
        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(async () => await AgentIdentity.LoadAsync("/nowhere/understudy", CancellationToken.None));

        Assert.Contains("--join", refused.Error.Next, StringComparison.Ordinal);
    }
}
