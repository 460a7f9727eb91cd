using Understudy.Blocks.Identity;

namespace Understudy.Journal;

/// <summary>
/// A replica to be made. With a parent, its line goes on from a point that both sides have: the first record has the
/// parent's sequence + 1.
/// </summary>
/// <param name="AwaitsSeed">The base is to begin with content that no source has sent (<see cref="ISeed"/>).</param>
public sealed record NewReplica(
    ReplicaId Id, VmId Vm, LineId Line, string MintedBy, RecoveryPointId? Parent = null, bool AwaitsSeed = false);
