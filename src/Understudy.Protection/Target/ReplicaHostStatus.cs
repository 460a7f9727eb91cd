using Understudy.Journal;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Mounts;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Target.Seeds;

namespace Understudy.Protection.Target;

/// <summary>What stands at the target for one VM, at one moment.</summary>
/// <param name="Replica">Null once its base has become the VM's own disk.</param>
/// <param name="Failover">Null while the replica is only a replica.</param>
/// <param name="Ownership">What this side knows of who may run the VM.</param>
/// <param name="IsValidated">What it knows counts in this boot of the host.</param>
/// <param name="Branches">Oldest first.</param>
/// <param name="Seed">What the first copy begins with; null for nothing.</param>
/// <param name="Waiting">What a step under way waits for.</param>
/// <param name="Error">Why the host's own work on it (views, apply) does not go on; null while it does. It is tried again.</param>
/// <param name="IsLeaving">Its removal was ordered and has not come to its end: nothing new can stand on it.</param>
public sealed record ReplicaHostStatus(
    ReplicaSpec Spec,
    ReplicaStatus? Replica,
    OwnershipRecord Ownership,
    bool IsValidated,
    IReadOnlyList<TestRecord> Tests,
    IReadOnlyList<BranchStatus> Branches,
    IReadOnlyList<MountRecord> Mounts,
    FailoverRecord? Failover,
    SeedStatus? Seed,
    string? Waiting,
    Blocks.UnderstudyException? Error,
    bool IsLeaving = false);
