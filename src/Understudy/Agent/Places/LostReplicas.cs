using Understudy.Blocks.Identity;
using Understudy.Protection.Guard;

namespace Understudy.Agent.Places;

/// <summary>
/// Replicas of which nothing stands any more because a person has said so: their pool is gone for good, and what named it was
/// deleted. Their token went with the pool. The guard's file of the VM is the agent's own and would deny its start on this host
/// for ever.
/// </summary>
/// <param name="spool">Folders of the VMs that this host is a source of: their guard's file is the source's.</param>
internal sealed class LostReplicas(GuardFolder guard, string spool)
{
    /// <summary>No file of a replica stands here, and nothing says that one is elsewhere.</summary>
    public static bool IsLost(string folder, ReplicaPlace? place) => place is null && ReplicaFolders.TryFind(folder) is null;

    public async ValueTask LetStartAsync(string folder, CancellationToken cancellationToken)
    {
        if (VmId.TryParse(Path.GetFileName(folder), out VmId vm) && !Directory.Exists(Path.Combine(spool, vm.ToString())))
        {
            await guard.RemoveAsync(vm, cancellationToken);
        }
    }
}
