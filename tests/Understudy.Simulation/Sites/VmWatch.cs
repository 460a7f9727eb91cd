using Understudy.Blocks.Identity;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Simulation.Sites.Checkers;

namespace Understudy.Simulation.Sites;

/// <summary>What the world and its checkers know of one VM, whatever dies.</summary>
internal sealed class VmWatch(ModelVm vm, Violations violations)
{
    private readonly Violations _violations = violations;

    public ModelVm Vm { get; } = vm;

    public VmId Id => Vm.Id;

    public string Name => Vm.Name;

    /// <summary>How often a human has given the word that it shall run at the target whatever the source does.</summary>
    public int Words { get; set; }

    /// <summary>How often a human has given the word that it belongs to the source whatever the target does.</summary>
    public int Claims { get; set; }

    /// <summary>One for each protection there ever was.</summary>
    public Dictionary<ReplicaId, PointLedger> Ledgers { get; } = [];

    public PointLedger Ledger(ReplicaId replica)
    {
        if (!Ledgers.TryGetValue(replica, out PointLedger? ledger))
        {
            Ledgers[replica] = ledger = new PointLedger(this, replica);
        }

        return ledger;
    }

    public void Violate(string checker, string what) => _violations.Report($"{checker} ({Name})", what);
}
