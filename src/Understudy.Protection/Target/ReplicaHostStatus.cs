using Understudy.Journal;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target;

/// <summary>What stands at the target for one VM, at one moment.</summary>
/// <param name="Replica">Null once its base has become the VM's own disk.</param>
/// <param name="Failover">Null while the replica is only a replica.</param>
/// <param name="Waiting">What a commit under way waits for.</param>
/// <param name="Error">Why the host's own work on it (views, apply) does not go on; null while it does. It is tried again.</param>
public sealed record ReplicaHostStatus(
    ReplicaSpec Spec,
    ReplicaStatus? Replica,
    IReadOnlyList<TestRecord> Tests,
    FailoverRecord? Failover,
    string? Waiting,
    Blocks.UnderstudyException? Error);
