using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;

namespace Understudy.CommandLine;

/// <summary>How a VM is to run on this host in one run: as the vault ordered last, with the choices of the command over it.</summary>
internal static class LocalRun
{
    /// <exception cref="ErrorException">A choice that cannot be carried out; nothing has been asked of the agent yet but its host's facts.</exception>
    public static async Task CheckAsync(LocalAgent agent, LocalState state, RunDto? run, CancellationToken ct)
    {
        if (run?.Name is { } name && !VmNames.IsLawful(name))
        {
            throw new ErrorException(Errors.BadName("VM", name));
        }

        if (run is { Cpus: not null } or { MemoryBytes: not null })
        {
            HostFacts facts = (await agent.AskAsync(AgentMethods.HostFacts, Nothing.Value, null, ct)).Facts;
            Require(HardwareChecks.Evaluate(run.Cpus, run.MemoryBytes, state.Name, facts, machineType: null));
        }
    }

    public static RecoverySettings Settings(RecoverySettings ordered, RunDto? run) => ordered with
    {
        Nics = Nics(ordered.Nics, run?.Nics ?? []),
        Cpus = run?.Cpus is { } cpus ? (cpus == 0 ? null : cpus) : ordered.Cpus,
        MemoryBytes = run?.MemoryBytes is { } memory ? (memory == 0 ? null : memory) : ordered.MemoryBytes,
    };

    /// <summary>A card that the vault has not heard of yet may be named too: the point knows its cards.</summary>
    public static TestNicPlan TestNics(RecoverySettings ordered, string network, RunDto? run)
    {
        NicChoice[] choices = Choices(run?.Nics ?? []);
        (TestNicPlan? plan, ErrorInfo? error) = TestNicPlanner.Plan(WithUnknown(ordered.Nics, choices), network, choices, "this host", null);
        return plan ?? throw new ErrorException(error!); // one of the two
    }

    private static IReadOnlyList<NicPlan> Nics(IReadOnlyList<NicPlan> ordered, IReadOnlyList<NicChoiceDto> chosen)
    {
        NicChoice[] choices = Choices(chosen);
        (IReadOnlyList<NicPlan> plans, ErrorInfo? error) = NicPlanner.Change(WithUnknown(ordered, choices), choices, "this host", null);
        Require(error);
        return plans;
    }

    private static IReadOnlyList<NicPlan> WithUnknown(IReadOnlyList<NicPlan> ordered, NicChoice[] choices) =>
    [
        .. ordered,
        .. choices.Select(choice => choice.Mac).Distinct(StringComparer.OrdinalIgnoreCase)
            .Where(mac => !ordered.Any(plan => string.Equals(plan.Mac, mac, StringComparison.OrdinalIgnoreCase)))
            .Select(mac => MacAddresses.IsLawful(mac) ? new NicPlan(mac, null, null, null) : throw new ErrorException(Errors.BadValue("NIC", mac, "it is no card's address"))),
    ];

    private static NicChoice[] Choices(IReadOnlyList<NicChoiceDto> nics) => [.. nics.Select(nic => new NicChoice(nic.Mac, nic.Network, nic.TestNetwork, nic.NewMac))];

    private static void Require(ErrorInfo? error)
    {
        if (error is not null)
        {
            throw new ErrorException(error);
        }
    }
}
