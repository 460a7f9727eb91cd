using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Understudy.Vault.Storage;

/// <summary>Opens the database, and brings it to this version's schema first.</summary>
internal sealed class VaultStorage
{
    private readonly DbContextOptions<VaultDb> _options;

    private VaultStorage(DbContextOptions<VaultDb> options) => _options = options;

    public static async Task<VaultStorage> OpenAsync(string path, CancellationToken cancellationToken)
    {
        VaultStorage storage = new(OptionsFor(path));
        await using VaultDb db = storage.Open();
        await db.Database.MigrateAsync(cancellationToken);
        return storage;
    }

    public static DbContextOptions<VaultDb> OptionsFor(string path)
    {
        SqliteConnectionStringBuilder connection = new() { DataSource = path, Pooling = true };
        return new DbContextOptionsBuilder<VaultDb>()
            .UseSqlite(connection.ToString())
            .AddInterceptors(new ConnectionSettings())
            // Migrations are written by hand and there is no snapshot; a test compares their schema with the model.
            .ConfigureWarnings(warnings => warnings.Log(RelationalEventId.PendingModelChangesWarning))
            .Options;
    }

    public VaultDb Open() => new(_options);

    /// <summary>Set on every connection: an acknowledged change survives a power cut, and writers wait for each other.</summary>
    private sealed class ConnectionSettings : DbConnectionInterceptor
    {
        private const string Settings = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000; PRAGMA foreign_keys=ON;";

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            using DbCommand command = connection.CreateCommand();
            command.CommandText = Settings;
            command.ExecuteNonQuery();
        }

        public override async Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = Settings;
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }
}
