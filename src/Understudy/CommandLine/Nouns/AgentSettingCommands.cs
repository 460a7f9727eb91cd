using System.CommandLine;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>
/// What is changed on the host itself because the vault cannot be reached yet, or any more: its address and the way to it. A
/// running agent takes it up at once; otherwise its files are changed.
/// </summary>
internal static class AgentSettingCommands
{
    private static readonly Option<string> _data = new("--data") { Description = "Folder of identity and state", DefaultValueFactory = _ => AgentConfig.DefaultDataFolder };
    private static readonly Option<string[]> _url = new("--url")
    {
        Description = "Address of the vault, https://NAME:PORT, first choice first; may be given again",
        Required = true,
    };

    private static readonly Argument<string> _proxy = new("proxy") { Description = "http://NAME:PORT, or none" };

    public static Command Vault(CommandFactory make) => make.Verb(
        "vault", "Say where the vault is now (after a restore on another machine)",
        (c, ct) => ChangeAsync(c, new LocalSettings(VaultUrls: VaultUrls.Checked(c.Get(_url)!)), ct), _url, _data); // required

    public static Command Proxy(CommandFactory make) => make.Verb(
        "proxy", "Change the HTTP CONNECT proxy towards the vault",
        (c, ct) =>
        {
            AgentSettings.CheckedProxy(c.Get(_proxy));
            return ChangeAsync(c, new LocalSettings(Proxy: c.Get(_proxy)), ct);
        }, _proxy, _data);

    private static async Task<ExitCode> ChangeAsync(CommandContext c, LocalSettings change, CancellationToken ct)
    {
        string data = Path.GetFullPath(c.Get(_data)!); // has a default
        LocalAgent agent = await LocalAgent.FindAsync(data, c.Logger, ct);
        try
        {
            LocalState state = await agent.AskAsync(LocalMethods.Configure, change, null, ct);
            return c.Show(state, CommandContext.Types.LocalState, (s, o) => o.WriteLine($"the agent uses it for its next connection; now it is {(s.Vault.Connected ? "connected" : "not connected")}"));
        }
        catch (ErrorException e) when (e.Error.Code == "agent-not-running")
        {
            await WriteAsync(data, change, ct);
            return c.Say("no agent runs; its next start uses it");
        }
    }

    private static async Task WriteAsync(string data, LocalSettings change, CancellationToken ct)
    {
        using AgentLock onlyOne = AgentLock.Take(data);
        FolderStore store = new(data);
        if (change.VaultUrls is { } urls)
        {
            AgentMembership membership = await AgentIdentity.LoadAsync(data, ct);
            await (membership with { VaultUrls = urls }).SaveAsync(store, ct);
        }

        if (change.Proxy is { } proxy)
        {
            await new AgentSettings(store, await AgentConfig.ReadAsync(data, ct)).UseProxyAsync(proxy, ct);
        }
    }
}
