using System.Security.Cryptography;
using System.Text.Json;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Vault.Backup;

/// <summary>
/// The key of the vault's copies (REG-8), made at its first start as <c>recovery.key</c>. Whoever has it and a copy has the
/// vault; whoever has only the copy, as the hosts do, has nothing. It belongs somewhere that the vault's machine cannot take
/// with it.
/// </summary>
/// <param name="Key">256 random bits.</param>
internal sealed record RecoveryKey(string Format, string Vault, byte[] Key, DateTimeOffset MadeAt)
{
    public const string FileName = "recovery.key";
    public const string FormatName = "understudy-recovery-key-1";
    public const int KeyBytes = 32;

    private const int IdBytes = 8;
    private const int MaxFileBytes = 4096;

    /// <summary>Tells keys apart without saying anything of them.</summary>
    public string Id => Convert.ToHexStringLower(SHA256.HashData(Key)[..IdBytes]);

    /// <summary>As it stands in the vault's folder; made when there is none.</summary>
    public static async ValueTask<RecoveryKey> OpenAsync(IFileStore store, string vault, TimeProvider time, CancellationToken cancellationToken)
    {
        if (await PrivateFile.TryReadAsync(store, FileName, MaxFileBytes, cancellationToken) is { } there)
        {
            return Parse(there, FileName);
        }

        RecoveryKey made = new(FormatName, vault, RandomNumberGenerator.GetBytes(KeyBytes), time.GetUtcNow());
        await PrivateFile.ReplaceAsync(store, FileName, made.ToBytes(), cancellationToken);
        return made;
    }

    /// <summary>As a person kept it.</summary>
    /// <exception cref="ErrorException">It is no such file.</exception>
    public static async Task<RecoveryKey> ReadAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return new FileInfo(path).Length <= MaxFileBytes
                ? Parse(await File.ReadAllBytesAsync(path, cancellationToken), path)
                : throw new ErrorException(Errors.BadValue("--key", path, "it is no recovery key"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ErrorException(Errors.BadValue("--key", path, e.Message), e);
        }
    }

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, VaultJson.Default.RecoveryKey);

    private static RecoveryKey Parse(byte[] content, string path)
    {
        try
        {
            return JsonSerializer.Deserialize(content, VaultJson.Default.RecoveryKey) is { Format: FormatName, Key.Length: KeyBytes } key
                ? key
                : throw new ErrorException(Errors.BadValue("recovery key", path, $"it is not in the format {FormatName}"));
        }
        catch (JsonException e)
        {
            throw new ErrorException(Errors.BadValue("recovery key", path, "it is no recovery key"), e);
        }
    }
}
