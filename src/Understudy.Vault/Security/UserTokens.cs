using System.Text;
using Microsoft.EntityFrameworkCore;
using Understudy.Api.Registration;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Security;

/// <summary>Bearer tokens of users. This version has one local administrator, made at first start.</summary>
internal sealed class UserTokens(VaultStorage storage, IIdSource ids, TimeProvider time)
{
    public const string AdministratorFile = "admin.token";
    public const string Administrator = "admin";

    private const string Prefix = "ust_";
    private const int MaxTokenLength = 256;

    /// <summary>First start: makes the token and leaves it in the data folder, where only its owner can read it.</summary>
    /// <returns>True when it was made now.</returns>
    public async Task<bool> EnsureAdministratorAsync(IFileStore store, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        if (await db.Tokens.AnyAsync(cancellationToken))
        {
            return false;
        }

        // The file first: a crash between the two leaves a token that is not known, and the next start makes another.
        string token = Secrets.Make(Prefix);
        await PrivateFile.ReplaceAsync(store, AdministratorFile, Encoding.ASCII.GetBytes(token + "\n"), cancellationToken);
        db.Tokens.Add(new TokenRow { Id = ids.NewGuid(), Name = Administrator, Hash = Secrets.Hash(token), CreatedAt = time.GetUtcNow() });
        await db.SaveChangesAsync(cancellationToken);
        return true;
    }

    /// <summary>Name of the user; null when the token is none of ours.</summary>
    public async Task<string?> FindUserAsync(string token, CancellationToken cancellationToken)
    {
        if (token.Length > MaxTokenLength)
        {
            return null;
        }

        byte[] hash = Secrets.Hash(token);
        await using VaultDb db = storage.Open();
        return await db.Tokens.Where(row => row.Hash == hash).Select(row => row.Name).FirstOrDefaultAsync(cancellationToken);
    }
}
