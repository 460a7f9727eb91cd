using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Understudy.Api.Dialling;
using Understudy.Api.Json;
using Understudy.Api.Rest;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Api.Registration;

/// <summary>What joining a vault gave an agent, kept in its state folder, readable for its owner only.</summary>
/// <param name="CaCertificate">PEM of the vault's authority: the only one believed, for the vault and for other agents.</param>
/// <param name="Certificate">PEM.</param>
/// <param name="Key">PEM (PKCS#8); never leaves the host.</param>
/// <param name="Generation">The newest life of the vault that this host has met: it counts the vault's restores.</param>
public sealed record AgentMembership(
    HostId Host,
    string Name,
    string Site,
    IReadOnlyList<string> VaultUrls,
    IReadOnlyList<string> Names,
    string CaCertificate,
    string Certificate,
    string Key,
    long Generation = 0)
{
    private const string FileName = "identity.json";
    private const int MaxBytes = 1 << 20;

    /// <summary>Uses the key file up and returns the new identity, not yet saved.</summary>
    public static async Task<AgentMembership> JoinAsync(RegistrationKeyFile key, JoinOptions options, CancellationToken cancellationToken)
    {
        using ECDsa pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        JoinDto request = new(
            key.Secret,
            options.HostName,
            options.DisplayName,
            options.AgentVersion,
            options.ReplicationEndpoint,
            options.Names,
            RequestPem(pair));
        JoinedDto joined = await OnFirstReachableAsync(key, options.Proxy, client => client.JoinAsync(request, cancellationToken));
        return new AgentMembership(
            new HostId(joined.HostId), joined.Name, joined.Site, key.Urls, options.Names, joined.CaCertificate, joined.Certificate, pair.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>Null when the host has not joined.</summary>
    public static async ValueTask<AgentMembership?> LoadAsync(IFileStore store, CancellationToken cancellationToken) =>
        await PrivateFile.TryReadAsync(store, FileName, MaxBytes, cancellationToken) is { } content
            ? JsonSerializer.Deserialize(content, ApiJson.Default.AgentMembership)
            : null;

    public ValueTask SaveAsync(IFileStore store, CancellationToken cancellationToken) =>
        PrivateFile.ReplaceAsync(store, FileName, JsonSerializer.SerializeToUtf8Bytes(this, ApiJson.Indented.AgentMembership), cancellationToken);

    /// <summary>With its key, for TLS as client and as server.</summary>
    public X509Certificate2 ToCertificate() => X509Certificate2.CreateFromPem(Certificate, Key);

    /// <summary>True in the last third of the certificate's life.</summary>
    public bool IsRenewalDue(DateTimeOffset now)
    {
        using X509Certificate2 certificate = X509Certificate2.CreateFromPem(Certificate);
        return now > certificate.NotAfter - ((certificate.NotAfter - certificate.NotBefore) / 3);
    }

    /// <summary>A new certificate for a new key, asked for with the present one.</summary>
    public async Task<AgentMembership> RenewAsync(ProxyChoice? proxy, CancellationToken cancellationToken)
    {
        using ECDsa pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using X509Certificate2 present = ToCertificate();
        ErrorException? unreachable = null;
        foreach (string url in VaultUrls)
        {
            using VaultClient client = ClientOf(url, CaCertificate, proxy, present);
            try
            {
                RenewedCertificateDto renewed = await client.RenewCertificateAsync(new RenewCertificateDto(RequestPem(pair), Names), cancellationToken);
                return this with { Certificate = renewed.Certificate, CaCertificate = renewed.CaCertificate, Key = pair.ExportPkcs8PrivateKeyPem() };
            }
            catch (ErrorException fault) when (fault.Error.Code == "vault-unreachable")
            {
                unreachable = fault;
            }
        }

        throw unreachable ?? new ErrorException(Errors.MissingValue("vault URL"));
    }

    private static async Task<T> OnFirstReachableAsync<T>(RegistrationKeyFile key, ProxyChoice? proxy, Func<VaultClient, Task<T>> call)
    {
        ErrorException? unreachable = null;
        foreach (string url in key.Urls)
        {
            using VaultClient client = ClientOf(url, key.CaCertificate, proxy, null);
            try
            {
                return await call(client);
            }
            catch (ErrorException fault) when (fault.Error.Code == "vault-unreachable")
            {
                unreachable = fault;
            }
        }

        throw unreachable ?? new ErrorException(Errors.MissingValue("vault URL"));
    }

    private static VaultClient ClientOf(string url, string caCertificate, ProxyChoice? proxy, X509Certificate2? certificate)
    {
        SocketsHttpHandler handler = PinnedTls.Handler(caCertificate, certificate, proxy ?? ProxyChoice.None);
        return new VaultClient(new HttpClient(handler, disposeHandler: true) { BaseAddress = new Uri(url), Timeout = TimeSpan.FromSeconds(30) });
    }

    /// <summary>The vault writes the name into the certificate; the request only proves that the key is ours.</summary>
    private static string RequestPem(ECDsa pair) =>
        new CertificateRequest("CN=understudy agent", pair, HashAlgorithmName.SHA256).CreateSigningRequestPem();
}

/// <param name="DisplayName">Null: the host's full name.</param>
/// <param name="Names">DNS names and addresses under which sources dial this host.</param>
/// <param name="ReplicationEndpoint">"name:port" for them.</param>
public sealed record JoinOptions(
    string HostName,
    string? DisplayName,
    string AgentVersion,
    string ReplicationEndpoint,
    IReadOnlyList<string> Names,
    ProxyChoice? Proxy);
