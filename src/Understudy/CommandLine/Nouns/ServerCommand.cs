using System.CommandLine;
using System.Net;
using Understudy.Agent;
using Understudy.Model;
using Understudy.Vault;

namespace Understudy.CommandLine.Nouns;

/// <summary>`understudy server`: the vault.</summary>
internal static class ServerCommand
{
    private static readonly Option<string> _data = new("--data")
    {
        Description = "Folder of the vault's database, authority and administrator's token",
        DefaultValueFactory = _ => VaultAddress.DefaultDataFolder,
    };

    private static readonly TimeSpan ShortestCopyEvery = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestCopyEvery = TimeSpan.FromDays(7);

    private static readonly Option<string> _listen = new("--listen") { Description = "Where it listens, ADDRESS:PORT", DefaultValueFactory = _ => "0.0.0.0:443" };
    private static readonly Option<string> _name = new("--name") { Description = "Name of the vault; stands in the names of key files", DefaultValueFactory = _ => "understudy" };
    private static readonly Option<string[]> _url = new("--url")
    {
        Description = "Address under which hosts and users reach it, https://NAME:PORT; may be given again (default: from --listen and the host name)",
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<string> _copyEvery = new("--copy-every")
    {
        Description = "How often its state is copied, encrypted, to the target hosts",
        DefaultValueFactory = _ => "1h",
    };

    public static Command Build(CommandFactory make)
    {
        Command server = make.Verb(
            "server", "Run the vault: configures, orders and watches; never in the path of replication", RunAsync, _data, _listen, _name, _url, _copyEvery);
        server.Subcommands.Add(VaultCopyCommands.Restore(make));
        server.Subcommands.Add(VaultCopyCommands.Copy(make));
        server.Subcommands.Add(VaultCopyCommands.Copies(make));
        return server;
    }

    private static async Task<ExitCode> RunAsync(CommandContext c, CancellationToken cancellationToken)
    {
        IPEndPoint listen = AgentJoin.EndPoint(c.Get(_listen)!); // has a default, as the others here
        VaultSettings settings = new()
        {
            DataFolder = Path.GetFullPath(c.Get(_data)!),
            Name = c.Get(_name)!,
            Listen = listen,
            PublicUrls = c.Get(_url) is { Length: > 0 } urls ? urls : DefaultUrls(listen),
            CopyEvery = CopyEvery(c.Get(_copyEvery)!),
            Time = TimeProvider.System,
            Ids = new SystemIds(),
        };
        await VaultServer.RunAsync(settings, AgentLogging.Configure, cancellationToken);
        return ExitCode.Done;
    }

    private static TimeSpan CopyEvery(string text) => Durations.TryParse(text, out TimeSpan every) && every >= ShortestCopyEvery && every <= LongestCopyEvery
        ? every
        : throw new ErrorException(Errors.BadValue("--copy-every", text, $"it is a duration from {Durations.Format(ShortestCopyEvery)} to {Durations.Format(LongestCopyEvery)}"));

    /// <summary>A named address is the one to be reached at; on a wildcard the vault knows its own host name best.</summary>
    private static string[] DefaultUrls(IPEndPoint listen) =>
        listen.Address.Equals(IPAddress.Any) || listen.Address.Equals(IPAddress.IPv6Any) ? [] : [$"https://{listen}"];
}
