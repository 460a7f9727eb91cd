using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Understudy.Agent;

/// <summary>The agent's key and certificate, in its data folder. The key never leaves the host.</summary>
internal sealed class AgentIdentity(string dataFolder)
{
    private readonly string _key = Path.Combine(dataFolder, "agent.key");
    private readonly string _certificate = Path.Combine(dataFolder, "agent.crt");
    private readonly string _authority = Path.Combine(dataFolder, "ca.crt");

    public string AuthorityPem => File.ReadAllText(_authority);

    /// <summary>Makes a fresh key and the request to have it signed (PKCS#10, PEM).</summary>
    public static (string KeyPem, string RequestPem) NewRequest(string commonName)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new(new X500DistinguishedNameBuilder().Named(commonName), key, HashAlgorithmName.SHA256);
        return (key.ExportPkcs8PrivateKeyPem(), request.CreateSigningRequestPem());
    }

    public void Store(string keyPem, string certificatePem, string authorityPem)
    {
        PrivateFile.Replace(_key, Encoding.ASCII.GetBytes(keyPem));
        PrivateFile.Replace(_certificate, Encoding.ASCII.GetBytes(certificatePem));
        PrivateFile.Replace(_authority, Encoding.ASCII.GetBytes(authorityPem));
    }

    /// <summary>Reads the files each time: a renewed certificate is used from the next connection on.</summary>
    public X509Certificate2 LoadCertificate() => X509Certificate2.CreateFromPemFile(_certificate, _key);

    public X509Certificate2 LoadAuthority() => X509Certificate2.CreateFromPem(AuthorityPem);
}

internal static class DistinguishedNames
{
    public static X500DistinguishedName Named(this X500DistinguishedNameBuilder builder, string commonName)
    {
        builder.AddCommonName(commonName);
        return builder.Build();
    }
}
