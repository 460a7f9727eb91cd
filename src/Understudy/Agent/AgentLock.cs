using Understudy.Model;

namespace Understudy.Agent;

/// <summary>One agent a data folder: two would write the same replicas. The kernel lets go of the lock when the process dies.</summary>
internal sealed class AgentLock : IDisposable
{
    private readonly FileStream _file;

    private AgentLock(FileStream file) => _file = file;

    public static AgentLock Take(string dataFolder)
    {
        string path = Path.Combine(dataFolder, "agent.lock");
        try
        {
            return new AgentLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e)
        {
            throw new ErrorException(
                new ErrorInfo(ErrorKind.Refused, "agent-runs-already", $"An agent with the data folder {dataFolder} runs already", e.Message, "Stop that one first."), e);
        }
    }

    public void Dispose() => _file.Dispose();
}
