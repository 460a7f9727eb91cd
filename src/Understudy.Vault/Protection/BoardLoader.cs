using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>At start: the last reports of hosts that may not come back, so that a failover can still be judged.</summary>
internal sealed class BoardLoader(VaultStorage storage, ReportBoard board, TimeProvider time)
{
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Dictionary<string, Policy> policies = await db.Policies.ToDictionaryAsync(row => row.Name, row => row.ToModel(), cancellationToken);
        foreach (ProtectionRow row in await db.Protections.AsNoTracking().ToListAsync(cancellationToken))
        {
            VmId vm = new(row.VmId);
            if (VaultJson.Read(row.SourceReportJson, VaultJson.Default.SourceReport) is { } source)
            {
                board.Set(vm, source, time.GetUtcNow(), policies[row.Policy]);
            }

            if (VaultJson.Read(row.TargetReportJson, VaultJson.Default.TargetReport) is { } target)
            {
                board.Set(vm, target);
            }
        }
    }
}
