using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Backup;

/// <summary>
/// What stands in the clear at the beginning of a copy (docs/formats/vault-copy.md): a line
/// <c>understudy-vault-copy 1 LENGTH</c>, then that many bytes of JSON. Every chunk that follows is bound to it.
/// </summary>
/// <param name="Generation">Of the vault it was taken from; a restore makes the next one.</param>
/// <param name="KeyId">Which recovery key opens it.</param>
/// <param name="Salt">Of this copy alone: its chunks have a key of their own.</param>
internal sealed record CopyHeader(string Vault, long Generation, DateTimeOffset TakenAt, string VaultVersion, string KeyId, byte[] Salt)
{
    public const string FileSuffix = ".understudy-vault";

    /// <summary>Plain bytes of every chunk but the last.</summary>
    public const int ChunkBytes = 1 << 20;

    public const int TagBytes = 16;
    public const int SaltBytes = 32;

    private const string Magic = "understudy-vault-copy 1 ";
    private const int MaxLineBytes = 64;
    private const int MaxJsonBytes = 4096;

    private static readonly byte[] Purpose = "understudy vault copy 1"u8.ToArray();

    /// <summary>Sorts by time; no letter that a shell or another file system would mind.</summary>
    public string FileName => $"{VmNames.Propose(Vault)}_{TakenAt.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture)}{FileSuffix}";

    public static CopyHeader New(string vault, long generation, DateTimeOffset takenAt, string version, RecoveryKey key) =>
        new(vault, generation, takenAt, version, key.Id, RandomNumberGenerator.GetBytes(SaltBytes));

    public byte[] ToBytes()
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(this, VaultJson.Default.CopyHeader);
        return [.. Encoding.ASCII.GetBytes($"{Magic}{json.Length}\n"), .. json];
    }

    /// <summary>The header and the bytes that it was read from.</summary>
    /// <exception cref="ErrorException">It is no copy, or of a format this version does not know.</exception>
    public static async Task<(CopyHeader Header, byte[] Bytes)> ReadAsync(Stream stream, string path, CancellationToken cancellationToken)
    {
        byte[] line = new byte[MaxLineBytes];
        int length = 0;
        do
        {
            if (length == line.Length || await stream.ReadAsync(line.AsMemory(length, 1), cancellationToken) == 0)
            {
                throw NoCopy(path);
            }
        }
        while (line[length++] != '\n');

        string text = Encoding.ASCII.GetString(line, 0, length - 1);
        if (!text.StartsWith(Magic, StringComparison.Ordinal)
            || !int.TryParse(text.AsSpan(Magic.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int jsonLength)
            || jsonLength > MaxJsonBytes)
        {
            throw NoCopy(path);
        }

        byte[] json = new byte[jsonLength];
        if (await stream.ReadAtLeastAsync(json, jsonLength, throwOnEndOfStream: false, cancellationToken) < jsonLength)
        {
            throw NoCopy(path);
        }

        try
        {
            return JsonSerializer.Deserialize(json, VaultJson.Default.CopyHeader) is { Salt.Length: SaltBytes } header
                ? (header, [.. line.AsSpan(0, length), .. json])
                : throw NoCopy(path);
        }
        catch (JsonException e)
        {
            throw new ErrorException(NoCopy(path).Error, e);
        }
    }

    /// <summary>The key of this copy's chunks.</summary>
    public AesGcm Cipher(RecoveryKey key) =>
        new(HKDF.DeriveKey(HashAlgorithmName.SHA256, key.Key, RecoveryKey.KeyBytes, Salt, Purpose), TagBytes);

    private static ErrorException NoCopy(string path) => new(Errors.VaultCopyUnusable(path, "it is no copy of a vault, or of a format this version does not know"));
}
