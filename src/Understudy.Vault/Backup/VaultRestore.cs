using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Vault.Security;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Backup;

/// <param name="Hosts">Those that the vault will hear from again.</param>
/// <param name="EndedJobs">Jobs that were under way when the copy was taken.</param>
public sealed record RestoredVault(string Vault, DateTimeOffset TakenAt, string DataFolder, IReadOnlyList<string> Hosts, IReadOnlyList<string> EndedJobs);

/// <summary>
/// A vault from a copy and its recovery key, on a machine that never had one (REG-8). The folder appears whole or not at all:
/// everything is put beside it, checked, and renamed into place. Nothing that is there is written over.
/// </summary>
public static class VaultRestore
{
    private const string Unfinished = ".restoring";

    /// <summary>More than a vault's state ever was; a copy cannot fill the disk beyond it.</summary>
    private const long MaxFileBytes = 64L << 30;

    public static async Task<RestoredVault> RunAsync(string copyFile, string keyFile, string dataFolder, TimeProvider time, CancellationToken cancellationToken)
    {
        dataFolder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(dataFolder));
        if (Directory.Exists(dataFolder) && Directory.EnumerateFileSystemEntries(dataFolder).Any())
        {
            throw new ErrorException(Errors.VaultFolderUsed(dataFolder));
        }

        RecoveryKey key = await RecoveryKey.ReadAsync(keyFile, cancellationToken);
        string beside = dataFolder + Unfinished;
        if (Directory.Exists(beside))
        {
            Directory.Delete(beside, recursive: true); // Of a restore that was cut short.
        }

        try
        {
            Directory.CreateDirectory(beside, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            CopyHeader header = await UnpackAsync(copyFile, key, beside, cancellationToken);
            RestoredVault restored = await SettleAsync(header, beside, dataFolder, copyFile, time, cancellationToken);
            await MakeDurableAsync(beside, cancellationToken);
            if (Directory.Exists(dataFolder))
            {
                Directory.Delete(dataFolder); // Empty, as found above.
            }

            Directory.Move(beside, dataFolder);
            await new FolderStore(Path.GetDirectoryName(dataFolder) ?? "/").FlushFolderAsync("", cancellationToken);
            return restored;
        }
        catch
        {
            SqliteConnection.ClearAllPools();
            Directory.Delete(beside, recursive: true);
            throw;
        }
    }

    private static async Task<CopyHeader> UnpackAsync(string copyFile, RecoveryKey key, string folder, CancellationToken cancellationToken)
    {
        await using FileStream file = Open(copyFile);
        (CopyHeader header, byte[] bytes) = await CopyHeader.ReadAsync(file, copyFile, cancellationToken);
        if (header.KeyId != key.Id)
        {
            throw new ErrorException(Errors.RecoveryKeyWrong(copyFile));
        }

        using AesGcm cipher = header.Cipher(key);
        await using CopyReader plain = new(file, cipher, bytes, copyFile);
        HashSet<string> found = [];
        try
        {
            await using GZipStream archive = new(plain, CompressionMode.Decompress, leaveOpen: true);
            await using TarReader reader = new(archive);
            while (await reader.GetNextEntryAsync(copyData: false, cancellationToken) is { } entry)
            {
                if ((entry.Name == CopyMaker.Database || CopyMaker.Files.Contains(entry.Name)) && entry.Length <= MaxFileBytes && found.Add(entry.Name))
                {
                    await ExtractAsync(entry, Path.Combine(folder, entry.Name), cancellationToken);
                }
            }

            await archive.CopyToAsync(Stream.Null, cancellationToken);
            await plain.CopyToAsync(Stream.Null, cancellationToken); // The last chunk says that nothing was cut off.
        }
        catch (InvalidDataException e)
        {
            throw new ErrorException(Errors.VaultCopyUnusable(copyFile, e.Message), e);
        }

        return new[] { CopyMaker.Database, VaultAuthority.CertificateFile, VaultAuthority.KeyFile }.FirstOrDefault(name => !found.Contains(name)) is { } missing
            ? throw new ErrorException(Errors.VaultCopyUnusable(copyFile, $"it has no {missing}"))
            : header;
    }

    private static FileStream Open(string copyFile)
    {
        try
        {
            return new FileStream(copyFile, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.Asynchronous);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ErrorException(Errors.BadValue("--from", copyFile, e.Message), e);
        }
    }

    private static async Task ExtractAsync(TarEntry entry, string path, CancellationToken cancellationToken)
    {
        await using FileStream file = new(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Options = FileOptions.Asynchronous,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        if (entry.DataStream is { } content)
        {
            await content.CopyToAsync(file, cancellationToken);
        }
    }

    /// <summary>The state is sound, belongs to the next generation, and says of each job under way what is true of it.</summary>
    private static async Task<RestoredVault> SettleAsync(
        CopyHeader header, string folder, string dataFolder, string copyFile, TimeProvider time, CancellationToken cancellationToken)
    {
        await VaultAuthority.OpenAsync(new FolderStore(folder), time, cancellationToken); // Key and certificate belong together, or this throws.
        string database = Path.Combine(folder, CopyMaker.Database);
        await VaultStorage.PrepareSnapshotAsync(database, cancellationToken);
        VaultStorage storage = await VaultStorage.OpenAsync(database, cancellationToken);
        await using VaultDb db = storage.Open();
        if (await db.Database.SqlQueryRaw<string>("SELECT integrity_check AS Value FROM pragma_integrity_check").FirstAsync(cancellationToken) is not "ok" and var damage)
        {
            throw new ErrorException(Errors.VaultCopyUnusable(copyFile, $"its database is damaged: {damage}"));
        }

        await new VaultMarks(storage).BeginNextAsync(header, cancellationToken);
        IReadOnlyList<string> ended = await RestoredJobs.EndAsync(db, header.TakenAt, time.GetUtcNow(), cancellationToken);
        string[] hosts = [.. await db.Hosts.OrderBy(row => row.Name).Select(row => row.Name).ToListAsync(cancellationToken)];
        await db.Database.ExecuteSqlRawAsync("PRAGMA wal_checkpoint(TRUNCATE)", cancellationToken);
        await db.DisposeAsync();
        SqliteConnection.ClearAllPools(); // The files are about to move.
        return new RestoredVault(header.Vault, header.TakenAt, dataFolder, hosts, ended);
    }

    private static async Task MakeDurableAsync(string folder, CancellationToken cancellationToken)
    {
        FolderStore store = new(folder);
        foreach (StoreEntry entry in await store.ListAsync("", cancellationToken))
        {
            await using IStoreFile file = await store.OpenAsync(entry.Name, FileOpen.Existing, cancellationToken);
            await file.FlushAsync(cancellationToken);
        }

        await store.FlushFolderAsync("", cancellationToken);
    }
}
