using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <param name="IsListed">The host's last inventory has the VM.</param>
/// <param name="Silent">Of an unknown source whose agent is connected: why it cannot say.</param>
internal sealed record SourceSight(SourceKnowledge Knowledge, bool IsListed = true, string? Silent = null);

/// <summary>What the vault can say about the source before an unplanned failover (PRE-5), and the words for it.</summary>
internal static class SourceWatch
{
    public static async Task<SourceSight> LookAsync(VaultDb db, AgentRegistry agents, ReportBoard board, ProtectedVm vm, CancellationToken cancellationToken)
    {
        bool fenced = board.Get(vm.Vm).Source is { Fenced: true, Power: VmPower.Off or VmPower.Crashed } && await IsGuardedAsync(db, vm.SourceHost.Value, cancellationToken);
        if (agents.Find(vm.SourceHost) is not { } session)
        {
            return new SourceSight(fenced ? SourceKnowledge.Fenced : SourceKnowledge.Unknown); // the guard holds without the agent, and over a boot
        }

        string? json = await db.Vms.Where(row => row.HostId == vm.SourceHost.Value && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(cancellationToken);
        DiscoveredVm? discovered = VaultJson.Read(json, VaultJson.Default.DiscoveredVm);
        if (discovered is { Power: not (VmPower.Off or VmPower.Crashed) })
        {
            return new SourceSight(SourceKnowledge.KnownRunning);
        }

        if (fenced)
        {
            return new SourceSight(SourceKnowledge.Fenced);
        }

        return await WhyBlindAsync(session, cancellationToken) is { } why
            ? new SourceSight(SourceKnowledge.Unknown, Silent: why)
            : new SourceSight(SourceKnowledge.KnownStopped, discovered is not null);
    }

    public static string Say(SourceSight sight, string vm, string sourceHost) => sight.Knowledge switch
    {
        SourceKnowledge.KnownStopped => $"{(sight.IsListed ? $"{vm} was off at {sourceHost}" : $"{sourceHost} had no VM {vm} any more")} when that host last reported, a few seconds ago. "
            + $"Nothing keeps it from being started there until {sourceHost} hears of this, within seconds; unless that happens nothing runs twice.",
        SourceKnowledge.KnownRunning => $"{vm} still runs at {sourceHost}. It will run in two places until it is stopped there, within seconds after {sourceHost} hears of this; "
            + "what it writes there from now on is kept as a branch and is not in the VM.",
        SourceKnowledge.Fenced => $"{vm} is off at {sourceHost} and fenced: nobody can start it there with libvirt's tools.",
        SourceKnowledge.Unknown when sight.Silent is { } why => $"{sourceHost} cannot say whether {vm} runs: {why}. If it does, it will run in two places until libvirt there answers again; "
            + "what it writes there is kept as a branch and is not in the VM.",
        SourceKnowledge.Unknown => $"{sourceHost} is not connected: {vm} may still be running there, cut off. If it is, it will run in two places until {sourceHost} can be reached again; "
            + "what it writes there is kept as a branch and is not in the VM.",
        _ => throw new UnreachableException($"knowledge {sight.Knowledge}"),
    };

    /// <summary>Guests outlive their libvirtd: that a VM is off is worth as much as the answer it comes from, and the last one may be old.</summary>
    private static async Task<string?> WhyBlindAsync(AgentSession session, CancellationToken cancellationToken) =>
        await session.TryGetFactsAsync(cancellationToken) is not { } facts ? "its agent is connected and does not answer"
        : facts.HypervisorError is { } error ? $"libvirt there does not answer ({error.TrimEnd('.')})"
        : null;

    /// <summary>A fence is worth what libvirt there heeds of it.</summary>
    private static async Task<bool> IsGuardedAsync(VaultDb db, Guid host, CancellationToken cancellationToken) =>
        await db.Hosts.AsNoTracking().SingleOrDefaultAsync(row => row.Id == host, cancellationToken) is { } row && HostStore.FactsOf(row) is { GuardProblem: null };
}
