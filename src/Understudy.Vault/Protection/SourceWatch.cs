using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>What the vault can say about the source before an unplanned failover (PRE-5), and the words for it.</summary>
internal static class SourceWatch
{
    public static async Task<SourceKnowledge> KnowAsync(VaultDb db, AgentRegistry agents, ProtectedVm vm, CancellationToken cancellationToken)
    {
        if (agents.Find(vm.SourceHost) is null)
        {
            return SourceKnowledge.Unknown;
        }

        string? json = await db.Vms.Where(row => row.HostId == vm.SourceHost.Value && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(cancellationToken);
        return VaultJson.Read(json, VaultJson.Default.DiscoveredVm) is { Power: not (VmPower.Off or VmPower.Crashed) }
            ? SourceKnowledge.KnownRunning
            : SourceKnowledge.KnownStopped;
    }

    public static string Say(SourceKnowledge knowledge, string vm, string sourceHost) => knowledge switch
    {
        SourceKnowledge.KnownStopped => $"{vm} is stopped at {sourceHost}; nothing is running twice after this.",
        SourceKnowledge.KnownRunning => $"{vm} still runs at {sourceHost}. It will run in two places until it is stopped there, and what it writes there from now on is not kept.",
        SourceKnowledge.Unknown => $"{sourceHost} is not connected: {vm} may still be running there, cut off. If it is, it will run in two places, and what it writes there is not kept.",
        _ => throw new UnreachableException($"knowledge {knowledge}"),
    };
}
