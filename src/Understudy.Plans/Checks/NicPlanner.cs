using Understudy.Model;

namespace Understudy.Plans;

/// <param name="Mac">Which NIC, by its address at the source.</param>
/// <param name="Network">Network at the target; "none" for unplugged; null for what the map says.</param>
public sealed record NicChoice(string Mac, string? Network, string? TestNetwork, string? NewMac);

/// <summary>Where each NIC goes at the target (CFG-6): the user's choice first, then the map.</summary>
public static class NicPlanner
{
    public const string None = "none";

    /// <returns>The plans, or the reason why one NIC has none.</returns>
    public static (IReadOnlyList<NicPlan> Plans, ErrorInfo? Error) Plan(
        IReadOnlyList<DiscoveredNic> nics,
        IReadOnlyList<NicChoice> choices,
        IReadOnlyList<NetworkMapping> mappings,
        bool useMap,
        string sourceSite,
        string targetSite,
        string targetHost,
        IReadOnlyList<HostNetwork> targetNetworks)
    {
        foreach (NicChoice choice in choices)
        {
            if (!nics.Any(nic => SameMac(nic.Mac, choice.Mac)))
            {
                return ([], Errors.BadValue("NIC", choice.Mac, "the VM has no NIC with that address"));
            }
        }

        List<NicPlan> plans = [];
        foreach (DiscoveredNic nic in nics)
        {
            NicChoice? choice = choices.FirstOrDefault(candidate => SameMac(candidate.Mac, nic.Mac));
            NetworkMapping? mapping = mappings.FirstOrDefault(candidate => candidate.SourceNetwork == nic.Network);
            if (choice?.Network is null && useMap && nic.Network is { } network && mapping is null)
            {
                return ([], Errors.NetworkUnmapped(network, sourceSite, targetSite));
            }

            string? target = choice?.Network ?? (useMap ? mapping?.TargetNetwork : null);
            string? test = choice?.TestNetwork ?? (useMap ? mapping?.TestNetwork : null);
            NicPlan plan = new(nic.Mac, Unplugged(target), Unplugged(test), choice?.NewMac);
            if (new[] { plan.TargetNetwork, plan.TestNetwork }.FirstOrDefault(name => name is not null && !Has(targetNetworks, name)) is { } missing)
            {
                return ([], Errors.UnknownNetwork(targetHost, missing));
            }

            plans.Add(plan);
        }

        return (plans, null);
    }

    /// <summary>Choices over plans that stand already; what a choice does not name stays.</summary>
    public static (IReadOnlyList<NicPlan> Plans, ErrorInfo? Error) Change(
        IReadOnlyList<NicPlan> plans, IReadOnlyList<NicChoice> choices, string targetHost, IReadOnlyList<HostNetwork> targetNetworks)
    {
        List<NicPlan> changed = [.. plans];
        foreach (NicChoice choice in choices)
        {
            int index = changed.FindIndex(plan => SameMac(plan.Mac, choice.Mac));
            if (index < 0)
            {
                return ([], Errors.BadValue("NIC", choice.Mac, "the VM has no NIC with that address"));
            }

            NicPlan plan = changed[index];
            changed[index] = plan with
            {
                TargetNetwork = choice.Network is null ? plan.TargetNetwork : Unplugged(choice.Network),
                TestNetwork = choice.TestNetwork is null ? plan.TestNetwork : Unplugged(choice.TestNetwork),
                NewMac = choice.NewMac ?? plan.NewMac,
            };
            if (new[] { Unplugged(choice.Network), Unplugged(choice.TestNetwork) }.FirstOrDefault(name => name is not null && !Has(targetNetworks, name)) is { } missing)
            {
                return ([], Errors.UnknownNetwork(targetHost, missing));
            }
        }

        return (changed, null);
    }

    /// <summary>The pairs to fill in by themselves: each of two sites has exactly one network that is not isolated, and no mapping stands (CFG-6).</summary>
    public static IReadOnlyList<NetworkMapping> Automatic(
        SiteId siteA, IReadOnlyCollection<string> networksA, SiteId siteB, IReadOnlyCollection<string> networksB, IReadOnlyList<NetworkMapping> existing)
    {
        if (networksA.Count != 1 || networksB.Count != 1)
        {
            return [];
        }

        NetworkMapping[] both =
        [
            new(siteA, networksA.First(), siteB, networksB.First(), null, Automatic: true),
            new(siteB, networksB.First(), siteA, networksA.First(), null, Automatic: true),
        ];
        return [.. both.Where(fresh => !existing.Any(old => old.SourceSite == fresh.SourceSite && old.TargetSite == fresh.TargetSite))];
    }

    private static string? Unplugged(string? network) => network == None ? null : network;

    private static bool Has(IReadOnlyList<HostNetwork> networks, string name) => networks.Any(network => network.Name == name);

    private static bool SameMac(string left, string right) => string.Equals(left, right, StringComparison.OrdinalIgnoreCase);
}
