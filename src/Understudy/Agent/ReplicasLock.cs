using Understudy.Model;

namespace Understudy.Agent;

/// <summary>
/// Who may have the replicas of a folder: one agent alone, or any number of readers (`point export --replica`). The kernel
/// lets go of the lock when the process dies.
/// </summary>
internal sealed class ReplicasLock : IDisposable
{
    public const string FileName = "replicas.lock";

    private readonly FileStream? _file;

    private ReplicasLock(FileStream? file) => _file = file;

    public static ReplicasLock TakeForAgent(string replicasFolder)
    {
        try
        {
            return new ReplicasLock(new FileStream(Path.Combine(replicasFolder, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e)
        {
            throw new ErrorException(Errors.ReplicaHeld(replicasFolder, "Another agent, or an export,"), e);
        }
    }

    /// <summary>A folder that cannot be written and has no lock file (a medium, another machine's copy) is no agent's.</summary>
    public static ReplicasLock ShareForReading(string replicasFolder)
    {
        string path = Path.Combine(replicasFolder, FileName);
        try
        {
            if (!File.Exists(path))
            {
                File.Create(path).Dispose();
            }

            return new ReplicasLock(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read));
        }
        catch (UnauthorizedAccessException)
        {
            return new ReplicasLock(null);
        }
        catch (IOException) when (!File.Exists(path))
        {
            return new ReplicasLock(null);
        }
        catch (IOException e)
        {
            throw new ErrorException(Errors.ReplicaHeld(replicasFolder, "An agent"), e);
        }
    }

    /// <summary>As <see cref="ShareForReading"/>, and makes nothing: a folder that no agent ever had has no lock.</summary>
    public static ReplicasLock ShareWhereThere(string replicasFolder) =>
        File.Exists(Path.Combine(replicasFolder, FileName)) ? ShareForReading(replicasFolder) : new ReplicasLock(null);

    public void Dispose() => _file?.Dispose();
}
