using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>A VM by what people call it: a name or an id.</summary>
internal static class VmFinder
{
    /// <summary>A protected VM goes by its name at the source, wherever it runs.</summary>
    public static async Task<(VmId Id, string Name)> FindVmAsync(this VaultDb db, string nameOrId, CancellationToken cancellationToken)
    {
        Guid id = Guid.TryParse(nameOrId, out Guid parsed) ? parsed : Guid.Empty;
        var protections = await db.Protections.Where(row => row.Name == nameOrId || row.VmId == id).Select(row => new { row.VmId, row.Name }).ToListAsync(cancellationToken);
        if (protections.Count == 1)
        {
            return (new VmId(protections[0].VmId), protections[0].Name);
        }

        var found = await db.Vms.Where(row => row.Name == nameOrId || row.VmId == id)
            .Join(db.Hosts, vm => vm.HostId, host => host.Id, (vm, host) => new { vm.VmId, vm.Name, Host = host.Name })
            .ToListAsync(cancellationToken);
        return found.DistinctBy(vm => vm.VmId).Count() switch
        {
            0 => throw new ErrorException(Errors.UnknownVm(nameOrId)),
            1 => (new VmId(found[0].VmId), found[0].Name),
            _ => throw new ErrorException(Errors.AmbiguousVm(nameOrId, found.Select(vm => vm.Host).Distinct().Order(StringComparer.Ordinal))),
        };
    }

    /// <summary>A host, or a site with one host.</summary>
    public static async Task<HostRow> FindTargetAsync(this VaultDb db, string hostOrSite, CancellationToken cancellationToken)
    {
        Guid id = Guid.TryParse(hostOrSite, out Guid parsed) ? parsed : Guid.Empty;
        HostRow? host = await db.Hosts.FirstOrDefaultAsync(row => row.Name == hostOrSite || row.Id == id, cancellationToken);
        if (host is not null)
        {
            return host;
        }

        SiteRow? site = await db.Sites.SingleOrDefaultAsync(row => row.Name == hostOrSite, cancellationToken);
        if (site is null)
        {
            throw new ErrorException(Errors.UnknownHost(hostOrSite));
        }

        List<HostRow> hosts = await db.Hosts.Where(row => row.SiteId == site.Id).OrderBy(row => row.Name).ToListAsync(cancellationToken);
        return hosts.Count switch
        {
            0 => throw new ErrorException(Errors.UnknownHost(hostOrSite)),
            1 => hosts[0],
            _ => throw new ErrorException(Errors.AmbiguousTarget(hostOrSite, hosts.Select(candidate => candidate.Name))),
        };
    }
}
