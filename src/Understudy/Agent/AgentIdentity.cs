using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Understudy.Agent;

/// <summary>The agent's key and certificate, in its data folder. The key never leaves the host.</summary>
internal sealed class AgentIdentity(string dataFolder)
{
    /// <summary>Key and certificate in one file, so that a kill between two writes cannot part them.</summary>
    private readonly string _pair = Path.Combine(dataFolder, "agent.pem");
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
        PrivateFile.Replace(_authority, Encoding.ASCII.GetBytes(authorityPem));
        PrivateFile.Replace(_pair, Encoding.ASCII.GetBytes($"{certificatePem.TrimEnd()}\n{keyPem}\n"));
    }

    /// <summary>Reads the files each time: a renewed certificate is used from the next connection on.</summary>
    public X509Certificate2 LoadCertificate() => X509Certificate2.CreateFromPemFile(_pair, _pair);

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
