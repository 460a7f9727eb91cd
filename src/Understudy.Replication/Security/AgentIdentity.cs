using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Understudy.Replication.Security;

/// <summary>
/// Who an agent is: the URI <c>urn:understudy:agent:&lt;guid&gt;</c> among its certificate's alternative names. Host
/// names and addresses play no part, so an agent may move, and a certificate for one host name is no use to another.
/// </summary>
public static class AgentIdentity
{
    private const string Prefix = "urn:understudy:agent:";
    private const string AlternativeNameOid = "2.5.29.17";
    private static readonly Asn1Tag UriTag = new(TagClass.ContextSpecific, 6);

    public static Uri UriOf(Guid agent) => new($"{Prefix}{agent:D}");

    /// <summary>Null when the certificate names no agent, or more than one.</summary>
    public static Guid? ReadFrom(X509Certificate2 certificate)
    {
        Guid? found = null;
        foreach (X509Extension extension in certificate.Extensions)
        {
            if (extension.Oid?.Value != AlternativeNameOid)
            {
                continue;
            }

            try
            {
                AsnReader names = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
                while (names.HasData)
                {
                    if (names.PeekTag() != UriTag)
                    {
                        names.ReadEncodedValue();
                        continue;
                    }

                    string uri = names.ReadCharacterString(UniversalTagNumber.IA5String, UriTag);
                    if (!uri.StartsWith(Prefix, StringComparison.Ordinal) || !Guid.TryParseExact(uri.AsSpan(Prefix.Length), "D", out Guid agent))
                    {
                        continue;
                    }

                    if (found is not null)
                    {
                        return null;
                    }

                    found = agent;
                }
            }
            catch (Exception malformed) when (malformed is AsnContentException or CryptographicException)
            {
                return null;
            }
        }

        return found;
    }
}
