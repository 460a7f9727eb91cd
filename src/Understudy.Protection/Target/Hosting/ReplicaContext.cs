using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
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
    private volatile bool _isLeaving;

    /// <summary>Who owns the VM. Set once, by the host's recovery, before anything else begins.</summary>
    public OwnershipToken Token
    {
        get => _token ?? throw new InvariantException("the token is opened before anything asks for it");
        set => _token = value;
    }

    /// <summary>The replica is about to be removed. Whoever begins a run asks inside its own gate, so who sets this and then passes
    /// every gate has seen all that will ever stand on the replica.</summary>
    public bool IsLeaving
    {
        get => _isLeaving;
        set => _isLeaving = value;
    }

    /// <exception cref="RefusedException">What would stand on it would lose its ground.</exception>
    public void RequireStays()
    {
        if (IsLeaving)
        {
            throw new RefusedException(
                RefusalCode.Busy, $"The replica of {Vm} is being removed: its protection was ended.", "Let that end go on (retry its job), then protect the VM again.");
        }
    }

    /// <summary>Stands on the context itself; made when first asked for.</summary>
    public BranchKeeper Branches => _branches ??= new BranchKeeper(this);

    public ILogger Logger => Services.Logger;

    public string Vm => Spec.VmName;
}
