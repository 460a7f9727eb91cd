using System.Security.Cryptography.X509Certificates;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>
/// Who this agent is, and its certificate renewed when its life's last third begins (REG-2). Each new connection asks
/// anew, so a renewed certificate is used at once; connections that stand go on. Changes take turns at one gate; whoever
/// asks from another thread sees the newest whole.
/// </summary>
internal sealed class AgentIdentity(IFileStore store, AgentMembership membership, AgentSettings settings, TimeProvider time, ILogger logger) : IVaultMember
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromHours(1);

    private readonly AsyncGate _gate = new();
    private volatile AgentMembership _membership = membership;

    public AgentMembership Membership => _membership;

    public static async ValueTask<AgentMembership> LoadAsync(string dataFolder, CancellationToken cancellationToken) =>
        (Directory.Exists(dataFolder) ? await AgentMembership.LoadAsync(new FolderStore(dataFolder), cancellationToken) : null)
        ?? throw new ErrorException(NotJoined(dataFolder));

    public static ErrorInfo NotJoined(string dataFolder) => new ErrorInfo(
        ErrorKind.Refused, "agent-not-joined", "This host has not joined a vault", $"{dataFolder} holds no identity.",
        "Make a key with `understudy site key SITE` and join: `understudy agent --join FILE`.");

    public VaultLinkSettings Settings =>
        new([.. _membership.VaultUrls.Select(url => new Uri(url))], _membership.CaCertificate, settings.Proxy, settings.Config.ProxyExcept);

    public X509Certificate2 Certificate() => _membership.ToCertificate();

    public TlsIdentity Tls() => new(_membership.ToCertificate(), [X509Certificate2.CreateFromPem(_membership.CaCertificate)], time);

    /// <summary>An older vault that comes back after a restore would go on with jobs that a person has ended since.</summary>
    public async ValueTask<ErrorInfo?> MeetAsync(VaultGreeting vault, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (vault.Generation < _membership.Generation)
        {
            return Errors.VaultOutdated(vault.Url.ToString());
        }

        if (vault.Generation > _membership.Generation)
        {
            await KeepAsync(_membership with { Generation = vault.Generation }, cancellationToken);
        }

        return null;
    }

    /// <summary>Where the vault is to be found from now on; used for the next connection.</summary>
    public async Task UseVaultAsync(IReadOnlyList<string> urls, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await KeepAsync(_membership with { VaultUrls = VaultUrls.Checked(urls) }, cancellationToken);
    }

    /// <summary>How the vault calls this host from now on.</summary>
    public async Task UseNameAsync(string name, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await KeepAsync(_membership with { Name = name }, cancellationToken);
    }

    private async ValueTask KeepAsync(AgentMembership changed, CancellationToken cancellationToken)
    {
        await changed.SaveAsync(store, cancellationToken);
        _membership = changed;
    }

    /// <summary>A vault that is away is asked again each hour; replication needs it only when the certificate ends.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_membership.IsRenewalDue(time.GetUtcNow()))
            {
                try
                {
                    using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
                    AgentMembership renewed = await _membership.RenewAsync(settings.Dials, cancellationToken);
                    await KeepAsync(renewed, cancellationToken);
                    using X509Certificate2 fresh = renewed.ToCertificate();
                    AgentLog.CertificateRenewed(logger, fresh.NotAfter);
                }
                catch (ErrorException e)
                {
                    AgentLog.CertificateNotRenewed(logger, e.Error.ToString());
                }
                catch (StorageException notKept)
                {
                    AgentLog.CertificateNotRenewed(logger, notKept.Message); // a full disk is no reason to end what runs
                }
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }
}
