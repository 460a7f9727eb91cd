using Understudy.Model;

namespace Understudy.Plans;

/// <summary>What an agent is to be told. A closed set.</summary>
public abstract record LinkOrder(LinkedHost To)
{
    /// <summary>Open or close the port.</summary>
    public sealed record Port(LinkedHost To, bool Listens) : LinkOrder(To);

    /// <param name="TargetDials">Otherwise it dials its target.</param>
    public sealed record AtSource(LinkedHost To, LinkedVm Vm, bool TargetDials) : LinkOrder(To);

    /// <param name="SourceEndpoint">Dial there; null: the source dials.</param>
    public sealed record AtTarget(LinkedHost To, LinkedVm Vm, string? SourceEndpoint) : LinkOrder(To);
}

/// <summary>
/// How a choice is brought into force: what may be told now, by what the agents said last. The order is what keeps replication
/// going at every moment, also when the vault dies between any two of these, or a host is away: a port opens before anybody is
/// told to dial it; who is to dial does so before the other one stops; a port closes when nobody needs it any more. Pure.
/// </summary>
public static class LinkPlan
{
    public static IReadOnlyList<LinkOrder> Next(IReadOnlyCollection<LinkedHost> hosts, IReadOnlyCollection<LinkedVm> vms, IReadOnlyCollection<SiteLink> links) =>
    [
        .. hosts.Select(host => PortOf(host, hosts, vms, links)).OfType<LinkOrder>(),
        .. vms.Select(vm => OrderOf(vm, links)).OfType<LinkOrder>(),
    ];

    /// <summary>What a person is told of a choice that is not in force everywhere yet.</summary>
    /// <param name="away">Hosts that are not connected.</param>
    public static IReadOnlyList<string> Outstanding(
        SiteId site, SiteId other, IReadOnlyCollection<LinkedHost> hosts, IReadOnlyCollection<LinkedVm> vms, IReadOnlyCollection<SiteLink> links, IReadOnlySet<HostId> away)
    {
        SiteLink between = links.FirstOrDefault(link => link.Joins(site, other)) ?? new SiteLink(site, other, default);
        List<string> lines = [];
        foreach (LinkedVm vm in vms.Where(vm => between.Joins(vm.Source.Site, vm.Target.Site) && vm is { AtSource: not null, AtTarget: not null }))
        {
            bool targetDials = LinkRules.TargetDials(vm.Source.Site, vm.Target.Site, links);
            Add(vm.Target, vm.AtTarget?.Dials != (targetDials ? vm.Source.Endpoint : null), $"{vm.Name}: {vm.Target.Name} has still to be told");
            Add(vm.Source, vm.AtSource?.Dials != (targetDials ? null : vm.Target.Endpoint), $"{vm.Name}: {vm.Source.Name} has still to be told");
        }

        foreach (LinkedHost host in hosts.Where(host => host.Site == site || host.Site == other))
        {
            bool listens = LinkRules.Listens(host.Site, hosts, links);
            Add(host, host.Listens != listens, $"{host.Name} has still to {(listens ? "open" : "close")} its port");
        }

        return lines;

        void Add(LinkedHost host, bool outstanding, string what)
        {
            if (outstanding)
            {
                lines.Add(away.Contains(host.Id) ? $"{what}, and is not connected" : what);
            }
        }
    }

    private static LinkOrder.Port? PortOf(LinkedHost host, IReadOnlyCollection<LinkedHost> hosts, IReadOnlyCollection<LinkedVm> vms, IReadOnlyCollection<SiteLink> links)
    {
        bool wanted = LinkRules.Listens(host.Site, hosts, links);
        return wanted == host.Listens || (!wanted && vms.Any(vm => Needs(vm, host))) ? null : new LinkOrder.Port(host, wanted);
    }

    /// <summary>Somebody dials the host for this VM, or may: a side that has not said counts as one that does what is usual.</summary>
    private static bool Needs(LinkedVm vm, LinkedHost host) =>
        (vm.Target.Id == host.Id && vm.AtSource is not { Dials: null }) || (vm.Source.Id == host.Id && vm.AtTarget is { Dials: not null });

    /// <summary>Null when both sides are as they should be, and while one has not said how it is.</summary>
    private static LinkOrder? OrderOf(LinkedVm vm, IReadOnlyCollection<SiteLink> links)
    {
        if (vm.AtSource is not { } atSource || vm.AtTarget is not { } atTarget)
        {
            return null;
        }

        if (LinkRules.TargetDials(vm.Source.Site, vm.Target.Site, links))
        {
            return atTarget.Dials != vm.Source.Endpoint ? vm.Source.Listens ? new LinkOrder.AtTarget(vm.Target, vm, vm.Source.Endpoint) : null
                : atSource.Dials is not null ? new LinkOrder.AtSource(vm.Source, vm, TargetDials: true)
                : null;
        }

        return atSource.Dials != vm.Target.Endpoint ? vm.Target.Listens ? new LinkOrder.AtSource(vm.Source, vm, TargetDials: false) : null
            : atTarget.Dials is not null ? new LinkOrder.AtTarget(vm.Target, vm, null)
            : null;
    }
}
