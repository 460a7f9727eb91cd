using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>A branch and where it is.</summary>
internal sealed record KeptBranch(BranchInfo Branch, ReplicaId Replica, HostId Host, string HostName, bool AtSource);

/// <summary>All branches of a VM, as the agents last reported them; those of a host that is away stay listed (SEC-7).</summary>
internal sealed class BranchFinder(ReportBoard board)
{
    public async Task<IReadOnlyList<KeptBranch>> ListAsync(VaultDb db, VmId vm, CancellationToken cancellationToken)
    {
        List<KeptBranch> kept = [];
        Dictionary<Guid, string> hosts = await db.Hosts.ToDictionaryAsync(row => row.Id, row => row.Name, cancellationToken);
        VmReports reports = board.Get(vm);
        if (await db.Protections.AsNoTracking().SingleOrDefaultAsync(row => row.VmId == vm.Value, cancellationToken) is { } protection)
        {
            ReplicaId replica = new(protection.Replica);
            Add(reports.Target?.Branches, replica, protection.TargetHost, atSource: false);
            Add(reports.Source?.Branches, replica, protection.SourceHost, atSource: true);
        }

        foreach (RetiredRow row in await db.Retired.AsNoTracking().Where(row => row.VmId == vm.Value && row.ReportJson != null).ToListAsync(cancellationToken))
        {
            Add(VaultJson.Read(row.ReportJson, VaultJson.Default.SourceReport)?.Branches, new ReplicaId(row.Replica), row.SourceHost, atSource: true);
        }

        return [.. kept.OrderBy(branch => branch.Branch.KeptAt)];

        void Add(IReadOnlyList<BranchInfo>? branches, ReplicaId replica, Guid host, bool atSource) =>
            kept.AddRange((branches ?? []).Select(branch => new KeptBranch(branch, replica, new HostId(host), hosts.GetValueOrDefault(host, host.ToString()), atSource)));
    }
}
