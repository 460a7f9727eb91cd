using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Understudy.Api.Dialling;
using Understudy.Model;

namespace Understudy.Api.Rest;

/// <summary>TLS 1.3 that believes one authority only: the vault's own, pinned in the key file.</summary>
public static class PinnedTls
{
    /// <summary>An agent's: its dials go where its proxy leads.</summary>
    public static SocketsHttpHandler Handler(string caCertificatePem, X509Certificate2? client, ProxyChoice proxy)
    {
        SocketsHttpHandler handler = Handler(caCertificatePem, client);
        handler.UseProxy = false; // The dialler knows the proxy; another one of the environment must not come between.
        handler.ConnectCallback = (context, ct) => Dialler.ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, proxy, ct);
        return handler;
    }

    /// <param name="caCertificatePem">Null for the system's authorities.</param>
    public static SocketsHttpHandler Handler(string? caCertificatePem, X509Certificate2? client = null)
    {
        SocketsHttpHandler handler = new()
        {
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            SslOptions = { EnabledSslProtocols = SslProtocols.Tls13 },
        };
        if (caCertificatePem is not null)
        {
            handler.SslOptions.CertificateChainPolicy = Trust(caCertificatePem, ServerAuthentication);
            handler.SslOptions.RemoteCertificateValidationCallback = (_, _, chain, errors) => errors == SslPolicyErrors.None ? true : throw new ErrorException(WhyNot(chain, errors));
        }

        if (client is not null)
        {
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(client, [], offline: true);
        }

        return handler;
    }

    /// <summary>The no of such a handler to a server's certificate, in what the request threw; null when it failed otherwise.</summary>
    public static ErrorInfo? RefusalIn(Exception? fault)
    {
        for (; fault is not null; fault = fault.InnerException)
        {
            if (fault is ErrorException refused)
            {
                return refused.Error;
            }
        }

        return null;
    }

    /// <summary>Another authority comes first: nothing else that such a certificate says counts.</summary>
    private static ErrorInfo WhyNot(X509Chain? chain, SslPolicyErrors errors)
    {
        const X509ChainStatusFlags Foreign = X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotSignatureValid;
        X509ChainStatusFlags status = chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status) ?? X509ChainStatusFlags.NoError;
        if ((errors & SslPolicyErrors.RemoteCertificateNotAvailable) != 0 || (status & Foreign) != 0)
        {
            return Errors.CertificateOfAnotherVault("The server");
        }

        return (errors & SslPolicyErrors.RemoteCertificateNameMismatch) != 0 && status == X509ChainStatusFlags.NoError
            ? Errors.CertificateName
            : Errors.CertificateOutOfDate(status.ToString());
    }

    public static Oid ServerAuthentication => new("1.3.6.1.5.5.7.3.1");

    public static Oid ClientAuthentication => new("1.3.6.1.5.5.7.3.2");

    /// <summary>Chain policy for certificates of this authority with this use. There is no revocation list: agents' certificates are checked against the vault's own records.</summary>
    public static X509ChainPolicy Trust(string caCertificatePem, Oid use)
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.ImportFromPem(caCertificatePem);
        policy.ApplicationPolicy.Add(use);
        return policy;
    }
}
