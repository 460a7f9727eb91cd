using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Backup;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Rest;

/// <summary>Copies of the vault's own state (REG-8).</summary>
internal static class CopyRoutes
{
    public static void Map(RouteGroupBuilder api)
    {
        api.MapGet("/vault/copies", (VaultStorage storage, RecoveryKey key, VaultSettings settings, CancellationToken ct) => ListAsync(storage, key, settings, ct))
            .WithName("listVaultCopies").WithSummary("Copies of the vault's state that hosts keep, newest first");
        api.MapPost("/vault/copies", async (CopyLoop copies, VaultStorage storage, RecoveryKey key, VaultSettings settings, CancellationToken ct) =>
            {
                await copies.CopyNowAsync(ct);
                return await ListAsync(storage, key, settings, ct);
            })
            .WithName("copyVault").WithSummary("Makes a copy now, on every connected host that gets one");
    }

    private static async Task<VaultCopiesDto> ListAsync(VaultStorage storage, RecoveryKey key, VaultSettings settings, CancellationToken ct)
    {
        await using VaultDb db = storage.Open();
        var rows = await db.VaultCopies.Join(db.Hosts, copy => copy.HostId, host => host.Id, (copy, host) => new { Host = host.Name, copy.Name, copy.TakenAt, copy.Bytes })
            .OrderByDescending(row => row.TakenAt).ThenBy(row => row.Host)
            .ToListAsync(ct);
        return new VaultCopiesDto(Durations.Format(settings.CopyEvery), key.Id, [.. rows.Select(row => new VaultCopyDto(row.Host, row.Name, row.TakenAt, row.Bytes))]);
    }
}
