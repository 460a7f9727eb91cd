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
