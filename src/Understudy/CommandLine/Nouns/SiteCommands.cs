using System.CommandLine;
using Understudy.Api.Registration;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class SiteCommands
{
    private static readonly Argument<string> _site = new("site") { Description = "Name of the site" };
    private static readonly Option<string?> _output = new("--output", "-o") { Description = "File to write the key to (default <vault>_<date>.understudy-key)" };
    private static readonly Option<string?> _validFor = new("--valid-for") { Description = "How long the key can be used (default 24h)" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "site",
        "Places with hosts",
        make.Verb("list", "List the sites", async (c, ct) => c.Show(
            await c.Vault.ListSitesAsync(ct), CommandContext.Types.IReadOnlyListSiteDto, (sites, o) =>
            {
                Table table = new("name", "hosts", "who listens");
                foreach (var site in sites)
                {
                    table.Row(site.Name, string.Join(", ", site.Hosts), SiteLinkCommands.Summary(site));
                }

                table.WriteTo(o);
            })),
        make.Verb("add", "Add a site", async (c, ct) => c.Show(
            await c.Vault.AddSiteAsync(c.Get(_site), ct), CommandContext.Types.SiteDto, (s, o) => o.WriteLine($"site {s.Name} added")), _site),
        SiteLinkCommands.Show(make),
        SiteLinkCommands.Link(make),
        make.Verb("remove", "Remove a site without hosts", RemoveAsync, _site),
        make.Verb("key", "Make a registration key file that joins one host to the site", KeyAsync, _site, _output, _validFor));

    private static async Task<ExitCode> RemoveAsync(CommandContext c, CancellationToken ct)
    {
        await c.Vault.RemoveSiteAsync(c.Get(_site), ct);
        return c.Say($"site {c.Get(_site)} removed");
    }

    private static async Task<ExitCode> KeyAsync(CommandContext c, CancellationToken ct)
    {
        RegistrationKeyFile key = await c.Vault.MakeKeyAsync(c.Get(_site), c.Get(_validFor), ct);
        string path = c.Get(_output) ?? key.FileName(DateTimeOffset.UtcNow);
        try
        {
            // Whoever reads the key can join a host: nobody else may, from the first byte on.
            await using FileStream file = new(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            await using StreamWriter writer = new(file);
            await writer.WriteAsync(key.ToJson());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ErrorException(Errors.BadValue("output", path, e.Message), e);
        }

        return c.Show(key, CommandContext.Types.RegistrationKeyFile, (k, o) =>
            o.WriteLine($"{path}: joins one host to site {k.Site} until {Show.Time(k.ExpiresAt)}; treat it as a password"));
    }
}
