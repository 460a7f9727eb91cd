using Understudy.Model;

namespace Understudy.Agent;

/// <summary>
/// One agent a data folder: two would write the same replicas. And one a host, by its folder of sockets: two would put their
/// own start guard into libvirt's one hook by turns, and the later one's end takes the earlier one's socket away. The kernel
/// lets go of the lock when the process dies.
/// </summary>
internal sealed class AgentLock : IDisposable
{
    public const string FileName = "agent.lock";

    private readonly FileStream _file;

    private AgentLock(FileStream file) => _file = file;

    public static AgentLock Take(string dataFolder) => Take(dataFolder, $"An agent with the data folder {dataFolder} runs already", "Stop that one first.");

    /// <param name="runFolder">Of the agent's sockets.</param>
    public static AgentLock TakeForHost(string runFolder) => Take(
        runFolder, $"Another agent runs on this host, with its sockets in {runFolder}", "A host has one agent. Stop that one, and let it leave (`understudy agent leave`) where it is not wanted.");

    private static AgentLock Take(string folder, string what, string next)
    {
        string path = Path.Combine(folder, FileName);
        try
        {
            return new AgentLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e)
        {
            throw new ErrorException(new ErrorInfo(ErrorKind.Refused, "agent-runs-already", what, e.Message, next), e);
        }
    }

    public void Dispose() => _file.Dispose();
}
