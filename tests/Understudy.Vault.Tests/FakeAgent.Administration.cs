using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>What a host is to its vault beside the VMs: a member with a certificate, and a keeper of copies.</summary>
internal sealed partial class FakeAgent : IVaultMember
{
    /// <summary>Copies of the vault's state, whole ones, by name.</summary>
    public ConcurrentDictionary<string, byte[]> VaultCopies { get; } = new();

    /// <summary>Generations of the vaults it was connected to.</summary>
    public ConcurrentQueue<long> Met { get; } = new();

    VaultLinkSettings IVaultMember.Settings =>
        new([.. Membership!.VaultUrls.Select(url => new Uri(url))], Membership.CaCertificate, null); // joined before

    public X509Certificate2 Certificate() => Membership!.ToCertificate(); // joined before

    public ValueTask<ErrorInfo?> MeetAsync(VaultGreeting vault, CancellationToken cancellationToken)
    {
        Met.Enqueue(vault.Generation);
        return new((ErrorInfo?)null);
    }

    private void RegisterAdministration(AgentOperations operations) => On(operations, AgentMethods.VaultCopy, request =>
    {
        byte[] before = request.Part == 0 ? [] : VaultCopies[request.Name];
        Assert.Equal(request.Part * VaultCopyRequest.MaxPartBytes, before.Length);
        VaultCopies[request.Name] = [.. before, .. request.Bytes];
        Assert.True(request.Part < request.Of - 1 || Convert.ToHexStringLower(SHA256.HashData(VaultCopies[request.Name])) == request.Sha256);
        return Nothing.Value;
    });
}
