using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans;

/// <summary>A choice for two sites (REG-3): only one of them ever listens for the other. Without one the target of a VM listens
/// and its source dials.</summary>
public sealed record SiteLink(SiteId One, SiteId Other, SiteId Listens)
{
    public bool Joins(SiteId a, SiteId b) => (One == a && Other == b) || (One == b && Other == a);
}

/// <summary>A host, as the links between sites see it.</summary>
/// <param name="Endpoint">Where it is dialled.</param>
/// <param name="Listens">Its port is open, as its agent said last.</param>
public sealed record LinkedHost(HostId Id, string Name, SiteId Site, string Endpoint, bool Listens);

/// <summary>A protected VM, as the links between sites see it: what each side does to make the connection, as its agent said
/// last; null of one that has not said.</summary>
public sealed record LinkedVm(
    VmId Vm, ReplicaId Replica, string Name, LinkedHost Source, LinkedHost Target, LinkInfo? AtSource, LinkInfo? AtTarget);
