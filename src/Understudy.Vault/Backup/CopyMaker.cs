using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using Understudy.Vault.Security;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Backup;

/// <summary>A copy on disk, ready to be sent.</summary>
/// <param name="Sha256">Hexadecimal, of the whole file.</param>
internal sealed record MadeCopy(string Path, CopyHeader Header, long Bytes, string Sha256);

/// <summary>
/// Makes a copy of the vault's whole state: a consistent snapshot of the database, taken beside its users, with the authority
/// and the administrator's token, as a compressed archive that only the recovery key opens. Two files of its own in the data
/// folder, made anew each time.
/// </summary>
internal sealed class CopyMaker(VaultSettings settings, VaultStorage storage, RecoveryKey key, VaultMarks marks)
{
    private const string SnapshotName = "copy.db";
    private const string CopyName = "copy.new";

    /// <summary>Everything that a vault is, beside its database; what is missing is left out.</summary>
    public static readonly IReadOnlyList<string> Files = [VaultAuthority.CertificateFile, VaultAuthority.KeyFile, UserTokens.AdministratorFile, RecoveryKey.FileName];

    public const string Database = "vault.db";

    /// <summary>Good until the next call.</summary>
    public async Task<MadeCopy> MakeAsync(CancellationToken cancellationToken)
    {
        string snapshot = Path.Combine(settings.DataFolder, SnapshotName);
        string path = Path.Combine(settings.DataFolder, CopyName);
        Forget();
        try
        {
            CopyHeader header = CopyHeader.New(
                settings.Name, await marks.GenerationAsync(cancellationToken), settings.Time.GetUtcNow(), VaultServer.Version, key);
            await storage.SnapshotAsync(snapshot, cancellationToken);
            await using (FileStream file = new(path, PrivateNew))
            {
                await WriteAsync(file, header, snapshot, cancellationToken);
            }

            await using FileStream made = File.OpenRead(path);
            return new MadeCopy(path, header, made.Length, Convert.ToHexStringLower(await SHA256.HashDataAsync(made, cancellationToken)));
        }
        finally
        {
            File.Delete(snapshot);
        }
    }

    /// <summary>Removes what a copy, or one that was cut short, has left here.</summary>
    public void Forget()
    {
        File.Delete(Path.Combine(settings.DataFolder, SnapshotName));
        File.Delete(Path.Combine(settings.DataFolder, CopyName));
    }

    private static FileStreamOptions PrivateNew => new()
    {
        Mode = FileMode.CreateNew,
        Access = FileAccess.Write,
        Options = FileOptions.Asynchronous,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };

    private async Task WriteAsync(FileStream file, CopyHeader header, string snapshot, CancellationToken cancellationToken)
    {
        byte[] clear = header.ToBytes();
        await file.WriteAsync(clear, cancellationToken);
        using AesGcm cipher = header.Cipher(key);
        await using CopyWriter sealing = new(file, cipher, clear);
        await using (GZipStream compressing = new(sealing, CompressionLevel.Fastest, leaveOpen: true))
        await using (TarWriter archive = new(compressing, TarEntryFormat.Pax, leaveOpen: true))
        {
            await archive.WriteEntryAsync(snapshot, Database, cancellationToken);
            foreach (string name in Files)
            {
                string path = Path.Combine(settings.DataFolder, name);
                if (File.Exists(path))
                {
                    await archive.WriteEntryAsync(path, name, cancellationToken);
                }
            }
        }

        await sealing.FinishAsync(cancellationToken);
    }
}
