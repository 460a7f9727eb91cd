using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>Asks a host's hypervisor whether a VM's machine would start there (REG-4): processor and firmware.</summary>
internal sealed class FitAsker(AgentRegistry agents, TimeProvider time)
{
    private static readonly TimeSpan _answerLimit = TimeSpan.FromSeconds(10);

    /// <returns>Findings; one that warns where nobody answers.</returns>
    public async Task<IReadOnlyList<Finding>> CheckAsync(DiscoveredVm vm, HostRow? source, HostRow target, CancellationToken cancellationToken)
    {
        if (vm.Needs is not { } needs)
        {
            return []; // an older agent has not said
        }

        return await AskAsync(needs, new HostId(target.Id), cancellationToken) is { } fit
            ? FitChecks.Evaluate(vm.Name, target.Name, needs, fit, CpuOf(source), CpuOf(target))
            : [Finding.Warn("CPU", $"Whether {target.Name} has the processor and the firmware of {vm.Name} could not be asked.", "See that its agent is connected and up to date.")];
    }

    private async Task<MachineFit?> AskAsync(MachineNeeds needs, HostId target, CancellationToken cancellationToken)
    {
        if (agents.Find(target) is not { } session)
        {
            return null;
        }

        using CancellationTokenSource limit = new(_answerLimit, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            AgentReply<HostFitAnswer> reply = await session.InvokeAsync(AgentMethods.HostFit, null, new HostFitRequest(needs), null, either.Token);
            return reply is AgentReply<HostFitAnswer>.Answered answered ? answered.Value.Fit : null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private static string? CpuOf(HostRow? host) => host is null ? null : HostStore.FactsOf(host)?.CpuModel;
}
