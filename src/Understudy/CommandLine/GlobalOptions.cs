using System.CommandLine;

namespace Understudy.CommandLine;

/// <summary>Options every command takes.</summary>
internal static class GlobalOptions
{
    public static Option<bool> Json { get; } = new("--json") { Description = "Print the answer as JSON", Recursive = true };

    public static Option<string?> Vault { get; } = new("--vault")
    {
        Description = "Address of the vault, e.g. https://vault.example:443 (or UNDERSTUDY_VAULT)",
        Recursive = true,
    };

    public static Option<string?> TokenFile { get; } = new("--token-file")
    {
        Description = "File with the token to show the vault (or UNDERSTUDY_TOKEN_FILE, or the token itself in UNDERSTUDY_TOKEN)",
        Recursive = true,
    };

    public static Option<string?> CaFile { get; } = new("--ca-file")
    {
        Description = "Certificate of the vault's authority (or UNDERSTUDY_CA_FILE)",
        Recursive = true,
    };

    public static Option<bool> Yes { get; } = new("--yes", "-y")
    {
        Description = "Do not ask. Never stands for a confirmation word",
        Recursive = true,
    };

    public static Option<bool> NoWait { get; } = new("--no-wait") { Description = "Start the job and return at once", Recursive = true };

    public static IEnumerable<Option> All => [Json, Vault, TokenFile, CaFile, Yes, NoWait];
}
