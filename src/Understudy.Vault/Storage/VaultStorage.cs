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

    /// <summary>A snapshot has no write-ahead log, and a connection for reading, with which the first opening begins, cannot
    /// give it one.</summary>
    public static async Task PrepareSnapshotAsync(string path, CancellationToken cancellationToken)
    {
        await using SqliteConnection connection = new(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        await connection.OpenAsync(cancellationToken);
        await using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "PRAGMA journal_mode=WAL";
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>A consistent copy of the database as one file, made beside its users; the file must not exist.</summary>
    public async Task SnapshotAsync(string path, CancellationToken cancellationToken)
    {
        await using VaultDb db = Open();
        await db.Database.ExecuteSqlAsync($"VACUUM INTO {path}", cancellationToken);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

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
