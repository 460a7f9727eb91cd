using Understudy.Model;

namespace Understudy.Plans;

/// <param name="RestIsolated">NICs that are not named are on the network made for the test; otherwise all are named.</param>
public sealed record TestNicPlan(bool RestIsolated, IReadOnlyList<TestNic> Nics);

/// <summary>Where each NIC of a copy goes in one test (TST-1, CFG-6): what the test was told for it, then what it was told for all.</summary>
public static class TestNicPlanner
{
    public const string Isolated = "isolated";
    public const string Mapped = "mapped";

    /// <param name="targetNetworks">Null leaves it to whoever starts the test to look for the networks.</param>
    /// <param name="network">For all: isolated, mapped, none, or a network of the target.</param>
    /// <returns>The plan, or the reason why one NIC has none.</returns>
    public static (TestNicPlan? Plan, ErrorInfo? Error) Plan(
        IReadOnlyList<NicPlan> plans, string network, IReadOnlyList<NicChoice> choices, string targetHost, IReadOnlyList<HostNetwork>? targetNetworks)
    {
        if (NicPlanner.Misfit(choices, [.. plans.Select(plan => plan.Mac)]) is { } misfit)
        {
            return (null, misfit);
        }

        List<TestNic> nics = [];
        foreach (NicPlan plan in plans)
        {
            NicChoice? choice = choices.FirstOrDefault(candidate => NicPlanner.SameMac(candidate.Mac, plan.Mac));
            if (choice?.TestNetwork is { } stored)
            {
                return (null, Errors.BadValue("NIC", $"{plan.Mac}, test network {stored}", "in one test a NIC's network is the one it is told for this test: MAC=NETWORK"));
            }

            nics.Add(Place(plan, choice, choice?.Network ?? network));
        }

        if (nics.FirstOrDefault(nic => nic.Network is { } name && !NicPlanner.Has(targetNetworks, name)) is { } unknown)
        {
            return (null, Errors.UnknownNetwork(targetHost, unknown.Network!)); // has one, as just seen
        }

        // A card that came with a later point is in nobody's plan; alone with its like it does no harm.
        return nics.All(nic => nic is { Isolated: true, NewMac: null })
            ? (new TestNicPlan(network == Isolated || nics.Count > 0, []), null)
            : (new TestNicPlan(nics.Any(nic => nic.Isolated), nics), null);
    }

    private static TestNic Place(NicPlan plan, NicChoice? choice, string network)
    {
        string? mac = choice?.NewMac == MacAddresses.Keep ? plan.Mac : choice?.NewMac;
        return network switch
        {
            Isolated => new TestNic(plan.Mac, null, Isolated: true, mac),
            Mapped => new TestNic(plan.Mac, plan.TestNetwork, Isolated: plan.TestNetwork is null, mac),
            NicPlanner.None => new TestNic(plan.Mac, null, Isolated: false),
            _ => new TestNic(plan.Mac, network, Isolated: false, mac),
        };
    }
}
