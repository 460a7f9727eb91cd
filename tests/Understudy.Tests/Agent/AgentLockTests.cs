using Understudy.Agent;
using Understudy.Model;

namespace Understudy.Tests.Agent;

public sealed class AgentLockTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-lock-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_second_agent_of_a_host_is_refused_whatever_its_data_folder_until_the_first_has_ended()
    {
        using (AgentLock.TakeForHost(_folder))
        {
            ErrorInfo error = Assert.Throws<ErrorException>(() => AgentLock.TakeForHost(_folder)).Error;
            Assert.Equal("agent-runs-already", error.Code);
            Assert.Contains("one agent", error.Next, StringComparison.Ordinal);
        }

        AgentLock.TakeForHost(_folder).Dispose();
    }
}
