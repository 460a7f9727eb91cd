using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Vault.Security;

/// <summary>
/// The vault's own certificate authority: made at first start, pinned in every key file, believed by nobody else. It signs
/// the vault's server certificate and one certificate for each agent, whose identity is the URI
/// <c>urn:understudy:agent:ID</c> and nothing else; names and addresses are there for clients that look at them.
/// </summary>
internal sealed class VaultAuthority
{
    public const string CertificateFile = "ca.crt";
    public const string KeyFile = "ca.key";
    private const string AgentUri = "urn:understudy:agent:";
    private const int MaxFileBytes = 64 * 1024;
    private const int MaxNames = 32;

    private static readonly TimeSpan _authorityLife = TimeSpan.FromDays(3650);
    private static readonly TimeSpan _serverLife = TimeSpan.FromDays(365);
    private static readonly TimeSpan _agentLife = TimeSpan.FromDays(90);

    /// <summary>Certificates begin a little in the past: clocks differ.</summary>
    private static readonly TimeSpan _clockAllowance = TimeSpan.FromHours(1);

    private readonly X509Certificate2 _certificate;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new(); // guards _server
    private X509Certificate2? _server;

    private VaultAuthority(X509Certificate2 certificate, TimeProvider time)
    {
        _certificate = certificate;
        _time = time;
        CertificatePem = certificate.ExportCertificatePem();
    }

    public string CertificatePem { get; }

    public static async Task<VaultAuthority> OpenAsync(IFileStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        byte[]? certificate = await PrivateFile.TryReadAsync(store, CertificateFile, MaxFileBytes, cancellationToken);
        byte[]? key = await PrivateFile.TryReadAsync(store, KeyFile, MaxFileBytes, cancellationToken);
        if (certificate is not null && key is not null)
        {
            return new VaultAuthority(X509Certificate2.CreateFromPem(Encoding.ASCII.GetString(certificate), Encoding.ASCII.GetString(key)), time);
        }

        if (certificate is not null)
        {
            throw new StorageException(FaultKind.Missing, KeyFile, "the key of the vault's authority is gone",
                "Restore it from a copy of the data folder; without it no host can join and no certificate be renewed.");
        }

        X509Certificate2 fresh = Create(time.GetUtcNow());
        using ECDsa pair = fresh.GetECDsaPrivateKey()!; // made with one a line above
        await PrivateFile.ReplaceAsync(store, KeyFile, Encoding.ASCII.GetBytes(pair.ExportPkcs8PrivateKeyPem()), cancellationToken);
        await PrivateFile.ReplaceAsync(store, CertificateFile, Encoding.ASCII.GetBytes(fresh.ExportCertificatePem()), cancellationToken);
        return new VaultAuthority(fresh, time);
    }

    /// <summary>For Kestrel; made anew in memory at start and in the last third of its life.</summary>
    public X509Certificate2 ServerCertificate(IReadOnlyList<string> names)
    {
        lock (_lock)
        {
            DateTimeOffset now = _time.GetUtcNow();
            if (_server is null || now > _server.NotAfter - (_serverLife / 3))
            {
                using ECDsa pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
                using X509Certificate2 certificate = Sign(new PublicKey(pair), "understudy vault", names, null, [PinnedTls.ServerAuthentication], _serverLife);
                _server = certificate.CopyWithPrivateKey(pair);
            }

            return _server;
        }
    }

    /// <returns>PEM. Source and target at once: both uses are in it.</returns>
    public string SignAgent(string requestPem, HostId host, IReadOnlyList<string> names)
    {
        if (names.Count > MaxNames)
        {
            throw new ErrorException(Errors.BadCertificateRequest($"it asks for more than {MaxNames} names"));
        }

        CertificateRequest request;
        try
        {
            request = CertificateRequest.LoadSigningRequestPem(requestPem, HashAlgorithmName.SHA256);
        }
        catch (Exception fault) when (fault is CryptographicException or ArgumentException)
        {
            throw new ErrorException(Errors.BadCertificateRequest(fault.Message), fault);
        }

        using ECDsa? key = request.PublicKey.GetECDsaPublicKey();
        if (key is null || key.KeySize < 256)
        {
            throw new ErrorException(Errors.BadCertificateRequest("its key is not an elliptic curve key of 256 bits or more"));
        }

        using X509Certificate2 certificate = Sign(
            request.PublicKey, host.ToString(), names, host, [PinnedTls.ServerAuthentication, PinnedTls.ClientAuthentication], _agentLife);
        return certificate.ExportCertificatePem();
    }

    /// <summary>Which agent a client certificate is of; null when this authority did not sign it, or for no agent.</summary>
    public HostId? AgentOf(X509Certificate2 certificate)
    {
        using X509Chain chain = new();
        chain.ChainPolicy = PinnedTls.Trust(CertificatePem, PinnedTls.ClientAuthentication);
        chain.ChainPolicy.VerificationTime = _time.GetUtcNow().UtcDateTime;
        return chain.Build(certificate) && HostId.TryParse(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false), out HostId host)
            ? host
            : null;
    }

    private static X509Certificate2 Create(DateTimeOffset now)
    {
        using ECDsa pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=understudy vault authority", pair, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.CreateSelfSigned(now - _clockAllowance, now + _authorityLife);
    }

    private X509Certificate2 Sign(PublicKey key, string commonName, IReadOnlyList<string> names, HostId? agent, Oid[] uses, TimeSpan life)
    {
        CertificateRequest request = new(new X500DistinguishedName($"CN={commonName}"), key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder alternatives = new();
        if (agent is { } host)
        {
            alternatives.AddUri(new Uri(AgentUri + host));
        }

        foreach (string name in names)
        {
            AddName(alternatives, name);
        }

        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([.. uses], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_certificate, true, false));
        DateTimeOffset now = _time.GetUtcNow();
        DateTimeOffset end = now + life < _certificate.NotAfter ? now + life : _certificate.NotAfter;
        DateTimeOffset begin = now - _clockAllowance > _certificate.NotBefore ? now - _clockAllowance : _certificate.NotBefore;
        return request.Create(_certificate, begin, end, RandomNumberGenerator.GetBytes(16));
    }

    private static void AddName(SubjectAlternativeNameBuilder alternatives, string name)
    {
        if (IPAddress.TryParse(name, out IPAddress? address))
        {
            alternatives.AddIpAddress(address);
            return;
        }

        if (Uri.CheckHostName(name) != UriHostNameType.Dns)
        {
            throw new ErrorException(Errors.BadCertificateRequest($"'{name}' is neither a DNS name nor an address"));
        }

        alternatives.AddDnsName(name);
    }
}
