using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Seeds;

namespace Understudy.Protection.Target;

/// <summary>How protection ends at this side; part of the order, because what decides it is gone before the end is.</summary>
public enum ReplicaRemoval
{
    /// <summary>Protection goes on.</summary>
    None,

    /// <summary>The VM never came to stay: the base images go too.</summary>
    WithImages,

    /// <summary>The failover was committed: the base images are the VM's own disks.</summary>
    KeepingImages,
}

/// <summary>A replica as this host was told to keep it; durable beside the replica itself.</summary>
/// <param name="VmName">The VM's name at the source.</param>
/// <param name="TargetName">The name it gets when it is failed over.</param>
/// <param name="Source">The only agent that may send to it.</param>
/// <param name="FirstLine">The line its source was given at the beginning.</param>
/// <param name="ImageFolder">Where its base images are, and after a commit the VM's disks; of no other VM.</param>
/// <param name="Removal">Not <see cref="ReplicaRemoval.None"/>: protection has been ended, and whoever opens it goes on removing.</param>
/// <param name="Retention">How far back recovery points are kept; zero keeps the newest only.</param>
/// <param name="Seeds">What the first copy begins with; null for nothing.</param>
public sealed record ReplicaSpec(
    ReplicaId Replica,
    VmId Vm,
    string VmName,
    string TargetName,
    Guid Source,
    LineId FirstLine,
    string ImageFolder,
    TimeSpan Retention,
    ReplicaRemoval Removal = ReplicaRemoval.None,
    IReadOnlyList<SeedPlace>? Seeds = null);
