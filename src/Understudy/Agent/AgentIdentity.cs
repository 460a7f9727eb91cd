using System.Security.Cryptography.X509Certificates;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>
/// Who this agent is, and its certificate renewed when its life's last third begins (REG-2). Each new connection asks
/// anew, so a renewed certificate is used at once; connections that stand go on.
/// </summary>
internal sealed class AgentIdentity(IFileStore store, AgentMembership membership, Uri? proxy, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromHours(1);

    private volatile AgentMembership _membership = membership;

    public AgentMembership Membership => _membership;

    public static async ValueTask<AgentMembership> LoadAsync(string dataFolder, CancellationToken cancellationToken) =>
        (Directory.Exists(dataFolder) ? await AgentMembership.LoadAsync(new FolderStore(dataFolder), cancellationToken) : null)
        ?? throw new ErrorException(new ErrorInfo(
            ErrorKind.Refused, "agent-not-joined", "This host has not joined a vault", $"{dataFolder} holds no identity.",
            "Make a key with `understudy site key SITE` and join: `understudy agent --join FILE`."));

    public X509Certificate2 Certificate() => _membership.ToCertificate();

    public TlsIdentity Tls() => new(_membership.ToCertificate(), [X509Certificate2.CreateFromPem(_membership.CaCertificate)], time);

    /// <summary>A vault that is away is asked again each hour; replication needs it only when the certificate ends.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_membership.IsRenewalDue(time.GetUtcNow()))
            {
                try
                {
                    AgentMembership renewed = await _membership.RenewAsync(proxy, cancellationToken);
                    await renewed.SaveAsync(store, cancellationToken);
                    _membership = renewed;
                    using X509Certificate2 fresh = renewed.ToCertificate();
                    AgentLog.CertificateRenewed(logger, fresh.NotAfter);
                }
                catch (ErrorException e)
                {
                    AgentLog.CertificateNotRenewed(logger, e.Error.ToString());
                }
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }
}
