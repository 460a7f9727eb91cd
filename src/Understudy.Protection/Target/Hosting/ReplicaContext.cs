using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target.Branches;

namespace Understudy.Protection.Target.Hosting;

/// <summary>What the runs of one replica share.</summary>
/// <param name="State">The replica's state files, beside the journal's own folder.</param>
internal sealed record ReplicaContext(
    ReplicaSpec Spec,
    ReplicaPlaces Places,
    IFileStore State,
    BaseImages Bases,
    ReplicaSlot Slot,
    PointPins Pins,
    ViewServer Views,
    RunDisks RunDisks,
    TargetServices Services)
{
    private OwnershipToken? _token;
    private BranchKeeper? _branches;

    /// <summary>Who owns the VM. Set once, by the host's recovery, before anything else begins.</summary>
    public OwnershipToken Token
    {
        get => _token ?? throw new InvariantException("the token is opened before anything asks for it");
        set => _token = value;
    }

    /// <summary>Stands on the context itself; made when first asked for.</summary>
    public BranchKeeper Branches => _branches ??= new BranchKeeper(this);

    public ILogger Logger => Services.Logger;

    public string Vm => Spec.VmName;
}

/// <summary>The open replica, while there is one: from step (d) of a commit on the base is the guest's own, and nobody
/// may read it through us any more.</summary>
internal sealed class ReplicaSlot : IViews
{
    private volatile Replica? _replica;

    /// <summary>Null when it has been closed. Read it once: a commit may close it at any time.</summary>
    public Replica? TryGet() => _replica;

    /// <exception cref="RefusedException">It has been closed for a commit.</exception>
    public Replica Replica => _replica
        ?? throw new RefusedException(RefusalCode.NoSuchReplica, "The replica's base belongs to the failed-over VM now: there are no recovery points to read.", "Wait for the commit to end.");

    public void Put(Replica replica) => _replica = replica;

    public async ValueTask CloseAsync()
    {
        if (_replica is { } open)
        {
            _replica = null;
            await open.DisposeAsync();
        }
    }

    public async ValueTask<Blocks.IBlockDevice> OpenAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken) =>
        await Replica.OpenViewAsync(point, disk, cancellationToken);
}
