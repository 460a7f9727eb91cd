using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Understudy.Vault.Security;

/// <summary>Random words for tokens and keys. The database keeps their hash only: 256 random bits need no salt.</summary>
internal static class Secrets
{
    private const int Bytes = 32;

    public static string Make(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes));

    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
