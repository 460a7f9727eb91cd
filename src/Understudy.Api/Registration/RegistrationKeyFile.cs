using System.Text.Json;
using Understudy.Api.Json;
using Understudy.Model;

namespace Understudy.Api.Registration;

/// <summary>
/// The file that joins one host to a vault (REG-2). Whoever holds it before it is used or expires can join a host: treat
/// it as a password.
/// </summary>
/// <param name="Urls">The vault's addresses, first choice first.</param>
/// <param name="CaCertificate">PEM of the vault's own authority: the only one an agent believes.</param>
/// <param name="Secret">Used once.</param>
public sealed record RegistrationKeyFile(
    string Format,
    string Vault,
    IReadOnlyList<string> Urls,
    string CaCertificate,
    string Site,
    string Secret,
    DateTimeOffset ExpiresAt)
{
    public const string FormatName = "understudy-key-1";

    private const int MaxBytes = 64 * 1024;

    public string FileName(DateTimeOffset madeAt) => $"{Vault}_{madeAt:yyyy-MM-dd}.understudy-key";

    public string ToJson() => JsonSerializer.Serialize(this, ApiJson.Indented.RegistrationKeyFile);

    public static RegistrationKeyFile Read(string path)
    {
        FileInfo file = new(path);
        if (!file.Exists)
        {
            throw new ErrorException(Errors.BadValue("key file", path, "there is no such file"));
        }

        if (file.Length > MaxBytes)
        {
            throw new ErrorException(Errors.BadValue("key file", path, "it is no registration key"));
        }

        try
        {
            RegistrationKeyFile? key = JsonSerializer.Deserialize(File.ReadAllBytes(path), ApiJson.Default.RegistrationKeyFile);
            return key is { Format: FormatName, Urls.Count: > 0 }
                ? key
                : throw new ErrorException(Errors.BadValue("key file", path, $"it is not in the format {FormatName}"));
        }
        catch (JsonException inner)
        {
            throw new ErrorException(Errors.BadValue("key file", path, "it is no registration key"), inner);
        }
    }
}

/// <param name="CertificateRequest">PEM (PKCS#10) with the agent's own key, which never leaves its host.</param>
/// <param name="Names">DNS names and addresses under which sources dial this host.</param>
/// <param name="ReplicationEndpoint">"name:port" where its agent takes replication in.</param>
public sealed record JoinDto(
    string Secret,
    string HostName,
    string? DisplayName,
    string AgentVersion,
    string ReplicationEndpoint,
    IReadOnlyList<string> Names,
    string CertificateRequest);

public sealed record JoinedDto(Guid HostId, string Site, string Name, string Certificate, string CaCertificate);

public sealed record RenewCertificateDto(string CertificateRequest, IReadOnlyList<string> Names);

public sealed record RenewedCertificateDto(string Certificate, string CaCertificate);
