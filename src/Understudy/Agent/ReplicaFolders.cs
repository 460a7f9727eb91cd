using Understudy.Agent.Places;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Target;

namespace Understudy.Agent;

/// <summary>Where a replica's files are on this host.</summary>
internal static class ReplicaFolders
{
    private const string Journal = "replica";
    private const string State = "host";

    public static string FolderOf(AgentConfig config, VmId vm) => Path.Combine(config.ReplicasFolder, vm.ToString());

    /// <summary>Where its files are: in its folder, or in the storage pool that this names.</summary>
    public static string DataOf(string folder) => ReplicaPlace.TryRead(folder)?.DataFolder ?? folder;

    public static ReplicaStores Stores(string folder)
    {
        folder = DataOf(folder);
        Directory.CreateDirectory(Path.Combine(folder, Journal));
        Directory.CreateDirectory(Path.Combine(folder, State));
        return new ReplicaStores(new FolderStore(Path.Combine(folder, Journal)), new FolderStore(Path.Combine(folder, State)));
    }

    /// <summary>As they stand; null when this is no replica's folder. Nothing is made.</summary>
    public static ReplicaStores? TryFind(string folder)
    {
        folder = DataOf(folder);
        string journal = Path.Combine(folder, Journal);
        string state = Path.Combine(folder, State);
        return Directory.Exists(journal) && Directory.Exists(state) ? new ReplicaStores(new FolderStore(journal), new FolderStore(state)) : null;
    }

    /// <summary>Where the host's own records of a replica are, in its folder.</summary>
    public static string StateOf(string folder) => Path.Combine(DataOf(folder), State);

    /// <summary>Removes folders that hold no file any more; what holds one stays, whosever it is.</summary>
    public static void RemoveEmpty(string folder)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        foreach (string sub in Directory.EnumerateDirectories(folder))
        {
            RemoveEmpty(sub);
        }

        if (!Directory.EnumerateFileSystemEntries(folder).Any())
        {
            Directory.Delete(folder);
        }
    }
}
