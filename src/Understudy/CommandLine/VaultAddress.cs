using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>Where the vault is and how to be let in: flag, then environment, then what a vault on this machine left in its folder.</summary>
internal sealed record VaultAddress(Uri Vault, string Token, string? CaCertificatePem)
{
    public const string DefaultDataFolder = "/var/lib/understudy/vault";

    public static VaultAddress Find(ParseResult parse, CommandIo io)
    {
        string url = parse.GetValue(GlobalOptions.Vault) ?? io.Variable("UNDERSTUDY_VAULT") ?? "https://localhost";
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? vault) || vault.Scheme != Uri.UriSchemeHttps)
        {
            throw new ErrorException(Errors.BadValue("vault", url, "it is not an https address"));
        }

        string? caFile = parse.GetValue(GlobalOptions.CaFile) ?? io.Variable("UNDERSTUDY_CA_FILE") ?? IfThere(Path.Combine(DefaultDataFolder, "ca.crt"));
        return new VaultAddress(vault, FindToken(parse, io), caFile is null ? null : Read("CA file", caFile));
    }

    public VaultClient Connect() => VaultClient.Create(Vault, Token, CaCertificatePem);

    private static string FindToken(ParseResult parse, CommandIo io)
    {
        if (parse.GetValue(GlobalOptions.TokenFile) is { } named)
        {
            return Read("token file", named);
        }

        if (io.Variable("UNDERSTUDY_TOKEN") is { } token)
        {
            return token;
        }

        string? file = io.Variable("UNDERSTUDY_TOKEN_FILE") ?? IfThere(Path.Combine(DefaultDataFolder, "admin.token"));
        return file is null ? throw new ErrorException(Errors.NoToken) : Read("token file", file);
    }

    private static string? IfThere(string path) => File.Exists(path) ? path : null;

    private static string Read(string what, string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ErrorException(Errors.BadValue(what, path, e.Message), e);
        }
    }
}
