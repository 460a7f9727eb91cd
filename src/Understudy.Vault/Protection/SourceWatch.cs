using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>What the vault can say about the source before an unplanned failover (PRE-5), and the words for it.</summary>
internal static class SourceWatch
{
    public static async Task<SourceKnowledge> KnowAsync(VaultDb db, AgentRegistry agents, ReportBoard board, ProtectedVm vm, CancellationToken cancellationToken)
    {
        SourceReport? report = board.Get(vm.Vm).Source;
        bool fenced = report is { Fenced: true, Power: VmPower.Off or VmPower.Crashed };
        if (agents.Find(vm.SourceHost) is null)
        {
            return fenced ? SourceKnowledge.Fenced : SourceKnowledge.Unknown; // the guard holds without the agent, and over a boot
        }

        string? json = await db.Vms.Where(row => row.HostId == vm.SourceHost.Value && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(cancellationToken);
        bool runs = VaultJson.Read(json, VaultJson.Default.DiscoveredVm) is { Power: not (VmPower.Off or VmPower.Crashed) };
        return runs ? SourceKnowledge.KnownRunning : fenced ? SourceKnowledge.Fenced : SourceKnowledge.KnownStopped;
    }

    public static string Say(SourceKnowledge knowledge, string vm, string sourceHost) => knowledge switch
    {
        SourceKnowledge.KnownStopped => $"{vm} is stopped at {sourceHost}; nothing is running twice after this.",
        SourceKnowledge.KnownRunning => $"{vm} still runs at {sourceHost}. It will run in two places until it is stopped there, within seconds after {sourceHost} hears of this; "
            + "what it writes there from now on is kept as a branch and is not in the VM.",
        SourceKnowledge.Fenced => $"{vm} is off at {sourceHost} and fenced: nobody can start it there.",
        SourceKnowledge.Unknown => $"{sourceHost} is not connected: {vm} may still be running there, cut off. If it is, it will run in two places until {sourceHost} can be reached again; "
            + "what it writes there is kept as a branch and is not in the VM.",
        _ => throw new UnreachableException($"knowledge {knowledge}"),
    };
}
