using System.CommandLine;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>
/// What is said on the host itself: where the vault is and the way to it, because it may not be reachable; and which VMs it may
/// know of, because that is for the host's owner to say. A running agent takes it up at once; otherwise its files are changed.
/// </summary>
internal static class LocalSettingCommands
{
    private static readonly Option<string> _data = new("--data") { Description = "Folder of identity and state", DefaultValueFactory = _ => AgentConfig.DefaultDataFolder };
    private static readonly Option<string[]> _url = new("--url")
    {
        Description = "Address of the vault, https://NAME:PORT, first choice first; may be given again",
        Required = true,
    };

    private static readonly Option<bool> _untried = new("--untried") { Description = "Also when the vault does not answer there yet" };
    private static readonly Option<string?> _visible = new("--visible") { Description = "Which VMs the vault may know of: all, none, or a rule such as 'web*,tag:prod,!web-old'" };
    private static readonly Option<string?> _proxy = new("--proxy") { Description = "HTTP CONNECT proxy towards the vault, http://NAME:PORT; tried first, for a minute" };
    private static readonly Option<bool> _noProxy = new("--no-proxy") { Description = "No proxy any more" };

    private static readonly TimeSpan _lookEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan _connectedWithin = TimeSpan.FromSeconds(10);

    public static Command Vault(CommandFactory make) => make.Verb(
        "vault", "Say where the vault is now (after a restore on another machine)",
        (c, ct) => ChangeAsync(c, new LocalSettings(VaultUrls: VaultUrls.Checked(c.Get(_url)!), Untried: c.Get(_untried)), ct), _url, _untried, _data); // required

    public static Command Set(CommandFactory make) => make.Verb(
        "set", "Change what the host's owner decides: which VMs the vault may know of, and the proxy towards it", SetAsync, _visible, _proxy, _noProxy, _data);

    /// <summary>What the two options of a proxy say together; null when neither was given.</summary>
    public static string? ProxyOf(string? proxy, bool none) => (proxy, none) switch
    {
        (not null, true) => throw new ErrorException(Errors.BadValue("--proxy", proxy, "--no-proxy says the opposite")),
        (_, true) => ProxyState.None,
        (not null, _) => ProxyState.Checked(proxy) ?? ProxyState.None,
        _ => null,
    };

    private static Task<ExitCode> SetAsync(CommandContext c, CancellationToken ct)
    {
        LocalSettings change = new(
            Proxy: ProxyOf(c.Get(_proxy), c.Get(_noProxy)),
            Visible: c.Get(_visible) is { } rule ? VmRule.Parse("--visible", rule).Text : null);
        return change is { Proxy: null, Visible: null }
            ? throw new ErrorException(Errors.MissingValue("--visible, --proxy or --no-proxy"))
            : ChangeAsync(c, change, ct);
    }

    private static async Task<ExitCode> ChangeAsync(CommandContext c, LocalSettings change, CancellationToken ct)
    {
        string data = Path.GetFullPath(c.Get(_data)!); // has a default
        LocalAgent agent = await LocalAgent.FindAsync(data, c.Logger, ct);
        LocalState state;
        try
        {
            state = await agent.AskAsync(LocalMethods.Configure, change, null, ct);
        }
        catch (ErrorException e) when (e.Error.Code == "agent-not-running")
        {
            await WriteAsync(data, change, ct);
            return c.Say("no agent runs; its next start uses it");
        }

        if (state.Proxy is { OnTrial: true } trial)
        {
            c.Io.Error.WriteLine($"trying {trial.Proxy ?? "without a proxy"} for up to {Durations.Format(ProxyState.TrialLimit)} …");
            state = await EndOfTrialAsync(agent, state, ct);
        }

        if (change is { VaultUrls: not null, Untried: false })
        {
            state = await ConnectedAsync(agent, state, ct);
        }

        if (change.Proxy is not null && state.Proxy is { Problem: { } problem })
        {
            throw new ErrorException(Errors.ProxyUnusable(state.Name, problem));
        }

        return c.Show(state, CommandContext.Types.LocalState, (s, o) => Write(change, s, o));
    }

    private static async Task<LocalState> EndOfTrialAsync(LocalAgent agent, LocalState state, CancellationToken ct)
    {
        while (state.Proxy is { OnTrial: true })
        {
            await Task.Delay(_lookEvery, TimeProvider.System, ct);
            state = await agent.AskAsync(LocalMethods.State, Nothing.Value, null, ct);
        }

        return state;
    }

    /// <summary>The agent dials the address that has answered; what is shown is how that went.</summary>
    private static async Task<LocalState> ConnectedAsync(LocalAgent agent, LocalState state, CancellationToken ct)
    {
        long begun = TimeProvider.System.GetTimestamp();
        do
        {
            await Task.Delay(_lookEvery, TimeProvider.System, ct); // first: the connection before this one may not have ended yet
            state = await agent.AskAsync(LocalMethods.State, Nothing.Value, null, ct);
        }
        while (!state.Vault.Connected && TimeProvider.System.GetElapsedTime(begun) < _connectedWithin);
        return state;
    }

    private static void Write(LocalSettings change, LocalState state, TextWriter output)
    {
        if (change.Visible is not null && state.Visibility is { } visibility)
        {
            LocalPage.Write(visibility, output);
        }

        if (change.Proxy is not null)
        {
            output.WriteLine($"towards the vault: {state.Proxy?.Proxy ?? "no proxy"}; now {(state.Vault.Connected ? "connected" : "not connected")}");
        }

        if (change.VaultUrls is not null)
        {
            output.WriteLine(change.Untried ? "the agent uses it from now on, untried; `understudy local list` says whether it is connected"
                : $"the agent uses it from now on; now it is {(state.Vault.Connected ? "connected" : $"not connected{(state.Vault.Error is { } error ? $": {error.Why}" : "")}")}");
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

        AgentSettings settings = new(store, await AgentConfig.ReadAsync(data, ct));
        if (change.Proxy is { } proxy)
        {
            await settings.UseProxyAsync(ProxyState.Checked(proxy), ct);
        }

        if (change.Visible is { } visible)
        {
            await settings.ShowAsync(VmRule.Parse("--visible", visible), ct);
        }
    }
}
