using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>What a host is to its vault beside the VMs: a member with a certificate, and a keeper of copies.</summary>
internal sealed partial class FakeAgent : IVaultMember
{
    private Task _trial = Task.CompletedTask;

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

    /// <summary>What the host's owner lets the vault know of.</summary>
    public string Visible { get; set; } = VmRule.AllText;

    public ProxyState Proxy { get; private set; } = new(null, OnTrial: false, null);

    public static MachineFit FitsAll { get; } = new(false, null, ["bios", "efi"], true, true, CpuFit.Provided, null);

    /// <summary>What its hypervisor says of any VM's machine.</summary>
    public MachineFit Fit { get; set; } = FitsAll;

    /// <summary>How the trial of a new proxy ends.</summary>
    public Func<ProxyState, ProxyState> EndOfTrial { get; set; } = trial => trial with { OnTrial = false };

    private void RegisterAdministration(AgentOperations operations)
    {
        On(operations, AgentMethods.HostConfigure, Configure);
        On(operations, AgentMethods.HostFit, _ => new HostFitAnswer(Fit));
        On(operations, AgentMethods.VaultCopy, Keep);
    }

    /// <summary>The answer is given first; what became of the proxy comes as news.</summary>
    private HostFactsAnswer Configure(HostConfigureRequest request)
    {
        Membership = Membership! with { Name = request.Name ?? Membership.Name }; // joined before
        if (request.Proxy is { } proxy)
        {
            ProxyState before = Proxy;
            Proxy = new ProxyState(ProxyState.Checked(proxy), OnTrial: true, null);
            _trial = EndTrialAsync(before);
        }

        return new HostFactsAnswer(Facts(), TimeProvider.System.GetUtcNow());
    }

    private async Task EndTrialAsync(ProxyState before)
    {
        await Task.Delay(50);
        ProxyState ended = EndOfTrial(Proxy);
        Proxy = ended.Problem is null ? ended : ended with { Proxy = before.Proxy };
        _link!.Post(Facts()); // it answers, so it was started
    }

    private Nothing Keep(VaultCopyRequest request)
    {
        byte[] before = request.Part == 0 ? [] : VaultCopies[request.Name];
        Assert.Equal(request.Part * VaultCopyRequest.MaxPartBytes, before.Length);
        VaultCopies[request.Name] = [.. before, .. request.Bytes];
        Assert.True(request.Part < request.Of - 1 || Convert.ToHexStringLower(SHA256.HashData(VaultCopies[request.Name])) == request.Sha256);
        return Nothing.Value;
    }
}
