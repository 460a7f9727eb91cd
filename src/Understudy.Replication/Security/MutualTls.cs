using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Understudy.Blocks;

namespace Understudy.Replication.Security;

/// <summary>What this side shows and whom it believes.</summary>
/// <param name="Certificate">This agent's certificate with its private key.</param>
/// <param name="Roots">The vault's certificate authority, the only root; the system's roots are not asked.</param>
public sealed record TlsIdentity(X509Certificate2 Certificate, X509Certificate2Collection Roots, TimeProvider Time);

/// <summary>A connection whose other end has proved to be this agent. Owns the stream and the one below it.</summary>
public sealed class AuthenticatedConnection(SslStream stream, Guid agentId) : IAsyncDisposable
{
    public Stream Stream { get; } = stream;

    public Guid AgentId { get; } = agentId;

    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}

/// <summary>
/// TLS as replication uses it: version 1.3 and nothing older, protocol name <see cref="Alpn"/>, a certificate from both
/// sides, signed by the vault's authority and naming the agent. A thin shell: nothing of replication runs in here.
/// </summary>
public static class MutualTls
{
    public const string Alpn = "understudy/1";

    private static readonly SslApplicationProtocol Protocol = new(Alpn);

    /// <summary>For the side that dials; fails when the other end is not <paramref name="expectedAgent"/>.</summary>
    public static async Task<AuthenticatedConnection> ConnectAsync(
        Stream inner, TlsIdentity self, Guid expectedAgent, CancellationToken cancellationToken)
    {
        SslStream stream = new(inner);
        return await AuthenticateAsync(
            stream,
            () => stream.AuthenticateAsClientAsync(ClientOptions(self, expectedAgent), cancellationToken));
    }

    /// <summary>For the side that listens; any agent of this vault may come in, what it may do is decided by its id.</summary>
    public static async Task<AuthenticatedConnection> AcceptAsync(Stream inner, TlsIdentity self, CancellationToken cancellationToken)
    {
        SslStream stream = new(inner);
        return await AuthenticateAsync(
            stream,
            () => stream.AuthenticateAsServerAsync(ServerOptions(self), cancellationToken));
    }

    public static SslClientAuthenticationOptions ClientOptions(TlsIdentity self, Guid expectedAgent) => new()
    {
        TargetHost = AgentIdentity.UriOf(expectedAgent).AbsoluteUri,
        ApplicationProtocols = [Protocol],
        EnabledSslProtocols = SslProtocols.Tls13,
        ClientCertificateContext = SslStreamCertificateContext.Create(self.Certificate, null, offline: true),
        CertificateChainPolicy = PolicyOf(self),
        RemoteCertificateValidationCallback = (_, certificate, _, errors) => IsAgent(certificate, errors, expectedAgent),
    };

    public static SslServerAuthenticationOptions ServerOptions(TlsIdentity self) => new()
    {
        ApplicationProtocols = [Protocol],
        EnabledSslProtocols = SslProtocols.Tls13,
        ServerCertificateContext = SslStreamCertificateContext.Create(self.Certificate, null, offline: true),
        ClientCertificateRequired = true,
        CertificateChainPolicy = PolicyOf(self),
        RemoteCertificateValidationCallback = (_, certificate, _, errors) => IsAgent(certificate, errors, expected: null),
    };

    private static async Task<AuthenticatedConnection> AuthenticateAsync(SslStream stream, Func<Task> handshake)
    {
        try
        {
            await handshake();
            if (stream.NegotiatedApplicationProtocol != Protocol)
            {
                throw new AuthenticationException($"the other side did not agree on the protocol {Alpn}");
            }

            // The callback has checked it before; asked again because an identity decides what the peer may touch.
            return stream.RemoteCertificate is X509Certificate2 certificate && AgentIdentity.ReadFrom(certificate) is { } agent
                ? new AuthenticatedConnection(stream, agent)
                : throw new AuthenticationException("the other side's certificate names no agent");
        }
        catch (Exception failure)
        {
            await stream.DisposeAsync();
            if (failure is AuthenticationException)
            {
                throw new UnderstudyException(
                    FaultClass.NeedsOperator,
                    $"the TLS handshake failed: {failure.InnerException?.Message ?? failure.Message}",
                    "Both agents must be joined to the same vault and their certificates be in date; 'understudy host show' lists both.",
                    failure);
            }

            throw;
        }
    }

    /// <summary>Made anew for each connection: the moment of verification is part of it.</summary>
    private static X509ChainPolicy PolicyOf(TlsIdentity self)
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck, // The vault takes rights away by agent id, at the next HELLO.
            DisableCertificateDownloads = true,
            VerificationTime = self.Time.GetUtcNow().UtcDateTime,
            VerificationTimeIgnored = false,
        };
        policy.CustomTrustStore.AddRange(self.Roots);
        return policy;
    }

    /// <summary>The name in the certificate is the agent's id, so a mismatch of host names says nothing; all else counts.</summary>
    private static bool IsAgent(X509Certificate? certificate, SslPolicyErrors errors, Guid? expected) =>
        (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None
        && certificate is X509Certificate2 complete
        && AgentIdentity.ReadFrom(complete) is { } agent
        && (expected is null || agent == expected);
}
