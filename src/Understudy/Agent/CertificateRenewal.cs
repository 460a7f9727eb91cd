using System.Security.Cryptography.X509Certificates;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>Renews the agent's certificate when two thirds of its life are over (REG-2); a vault that is away is asked again each hour.</summary>
internal sealed class CertificateRenewal(AgentConfig config, AgentIdentity identity, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromHours(1);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            using (X509Certificate2 current = identity.LoadCertificate())
            {
                if (IsDue(current, time.GetUtcNow()))
                {
                    await RenewAsync(current, cancellationToken);
                }
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    internal static bool IsDue(X509Certificate2 certificate, DateTimeOffset now)
    {
        TimeSpan life = certificate.NotAfter.ToUniversalTime() - certificate.NotBefore.ToUniversalTime();
        return now.UtcDateTime >= certificate.NotBefore.ToUniversalTime() + (life * 2 / 3);
    }

    private async Task RenewAsync(X509Certificate2 current, CancellationToken cancellationToken)
    {
        try
        {
            (string keyPem, string requestPem) = AgentIdentity.NewRequest(config.Name);
            using HttpClient http = new(PinnedTls.Handler(identity.AuthorityPem, current)) { BaseAddress = new Uri(config.VaultUrls[0]) };
            using VaultClient vault = new(http);
            string name = config.Advertise[..config.Advertise.LastIndexOf(':')].Trim('[', ']');
            RenewedCertificateDto renewed = await vault.RenewCertificateAsync(new RenewCertificateDto(requestPem, [name]), cancellationToken);
            identity.Store(keyPem, renewed.Certificate, renewed.CaCertificate);
            using X509Certificate2 fresh = identity.LoadCertificate();
            AgentLog.CertificateRenewed(logger, fresh.NotAfter);
        }
        catch (ErrorException e)
        {
            AgentLog.CertificateNotRenewed(logger, e.Error.ToString());
        }
    }
}
