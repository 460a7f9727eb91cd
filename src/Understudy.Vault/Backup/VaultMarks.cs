using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Backup;

/// <summary>What tells one life of this vault from the next: a restore counts up, so that agents follow the newest and an
/// older one that comes back is known for what it is.</summary>
internal sealed class VaultMarks(VaultStorage storage)
{
    private const string Generation = "generation";
    private const string RestoredFrom = "restored-from";
    private const long First = 1;

    public async Task<long> GenerationAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return await FindAsync(db, Generation, cancellationToken) is { } row ? long.Parse(row.Value, CultureInfo.InvariantCulture) : First;
    }

    /// <summary>In the database of a vault that is being restored: the next generation, and of what.</summary>
    public async Task BeginNextAsync(CopyHeader from, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        await SetAsync(db, Generation, (from.Generation + 1).ToString(CultureInfo.InvariantCulture), cancellationToken);
        await SetAsync(db, RestoredFrom, from.TakenAt.ToString("O", CultureInfo.InvariantCulture), cancellationToken);
        await db.SaveChangesAsync(cancellationToken);
    }

    private static Task<SettingRow?> FindAsync(VaultDb db, string key, CancellationToken cancellationToken) =>
        db.Settings.SingleOrDefaultAsync(row => row.Key == key, cancellationToken);

    private static async Task SetAsync(VaultDb db, string key, string value, CancellationToken cancellationToken)
    {
        if (await FindAsync(db, key, cancellationToken) is { } row)
        {
            row.Value = value;
        }
        else
        {
            db.Settings.Add(new SettingRow { Key = key, Value = value });
        }
    }
}
