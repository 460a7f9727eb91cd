using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>
/// Copies of the vault's state kept on this host (REG-8), which only the vault's recovery key opens. A copy comes in parts; it
/// has its name when all of it is here, is what the vault sent, and is durable. The newest two of each vault are kept.
/// </summary>
internal sealed partial class VaultCopies(string folder)
{
    private const string Unfinished = ".partial";

    private readonly AsyncGate _gate = new();

    public static string FolderOf(string dataFolder) => Path.Combine(dataFolder, "vault-copies");

    public void Register(AgentOperations operations) => operations.On(AgentMethods.VaultCopy, async (request, _, ct) =>
    {
        await TakeAsync(request, ct);
        return Nothing.Value;
    });

    public async Task TakeAsync(VaultCopyRequest request, CancellationToken cancellationToken)
    {
        if (!Name().IsMatch(request.Name) || request.Part < 0 || request.Part >= request.Of || request.Bytes.Length > VaultCopyRequest.MaxPartBytes)
        {
            throw new ErrorException(Errors.BadValue("copy", request.Name, "it is no part of a vault's copy"));
        }

        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        FolderStore store = new(folder);
        string partial = request.Name + Unfinished;
        await using (IStoreFile file = await store.OpenAsync(partial, FileOpen.OpenOrCreate, cancellationToken))
        {
            // Every part but the last is full, so its number is its place.
            long at = (long)request.Part * VaultCopyRequest.MaxPartBytes;
            if (file.LengthBytes < at)
            {
                throw new ErrorException(Errors.VaultCopyUnusable(request.Name, $"part {request.Part} came before the one in front of it"));
            }

            await file.SetLengthAsync(at, cancellationToken);
            await file.WriteAsync(at, request.Bytes, cancellationToken);
            if (request.Part < request.Of - 1)
            {
                return;
            }

            await file.FlushAsync(cancellationToken);
        }

        await FinishAsync(store, request, partial, cancellationToken);
    }

    private async Task FinishAsync(FolderStore store, VaultCopyRequest request, string partial, CancellationToken cancellationToken)
    {
        await using (FileStream whole = File.OpenRead(Path.Combine(folder, partial)))
        {
            string sum = Convert.ToHexStringLower(await SHA256.HashDataAsync(whole, cancellationToken));
            if (sum != request.Sha256)
            {
                throw new ErrorException(Errors.VaultCopyUnusable(request.Name, "it is not what the vault sent"));
            }
        }

        await store.RenameAsync(partial, request.Name, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
        string vault = Name().Match(request.Name).Groups["vault"].Value;
        IEnumerable<StoreEntry> others = (await store.ListAsync("", cancellationToken))
            .Where(entry => Name().Match(entry.Name.Replace(Unfinished, "", StringComparison.Ordinal)) is { Success: true } match && match.Groups["vault"].Value == vault);
        int kept = 0;
        foreach (StoreEntry entry in others.OrderByDescending(entry => entry.Name, StringComparer.Ordinal))
        {
            if (entry.Name.EndsWith(Unfinished, StringComparison.Ordinal) || ++kept > VaultCopyRequest.Kept)
            {
                await store.DeleteAsync(entry.Name, cancellationToken);
            }
        }
    }

    /// <summary>VAULT_TIME.understudy-vault: the names of one vault's copies sort by their time.</summary>
    [GeneratedRegex(@"^(?<vault>[A-Za-z0-9][A-Za-z0-9.-]{0,62})_\d{8}T\d{6}Z\.understudy-vault$", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
