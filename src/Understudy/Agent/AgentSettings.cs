using Understudy.Api.Dialling;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>The part of <c>agent.json</c> that changes while the agent runs. Changes take turns; readers see the newest whole.</summary>
internal sealed class AgentSettings(IFileStore store, AgentConfig config)
{
    private readonly AsyncGate _gate = new();
    private volatile AgentConfig _config = config;
    private volatile string? _problem;
    private volatile VmRule _visible = VmRule.Parse("visible", config.Visible);

    public AgentConfig Config => _config;

    /// <summary>How this host's agent dials its vault.</summary>
    public ProxyChoice Dials => new(Proxy, _config.ProxyExcept);

    /// <summary>How it dials other agents: while a proxy is only tried, by the one that has worked.</summary>
    public ProxyChoice PeerDials => _config.ProxyTrial is { } trial ? Dials with { Proxy = trial.Before is { } before ? new Uri(before) : null } : Dials;

    /// <summary>Null for none.</summary>
    public Uri? Proxy => _config.Proxy is { } proxy ? new Uri(proxy) : null;

    /// <summary>Whether the replication port is to be open, also after the next start.</summary>
    public Task ListenAsync(bool listens, CancellationToken cancellationToken) =>
        ChangeAsync(config => config with { Listens = listens }, cancellationToken);

    public ProxyState ProxyState
    {
        get
        {
            AgentConfig now = _config;
            return new ProxyState(now.Proxy, now.ProxyTrial is not null, _problem);
        }
    }

    /// <summary>Which VMs the vault may know of (REG-2).</summary>
    public VmRule Visible => _visible;

    public async Task ShowAsync(VmRule visible, CancellationToken cancellationToken)
    {
        await ChangeAsync(config => config with { Visible = visible.Text }, cancellationToken);
        _visible = visible;
    }

    /// <summary>For good, used for the next connection (REG-3).</summary>
    public async Task UseProxyAsync(string? proxy, CancellationToken cancellationToken)
    {
        await ChangeAsync(config => config with { Proxy = proxy, ProxyTrial = null }, cancellationToken);
        _problem = null;
    }

    /// <summary>Until it is kept or given up. On another trial the way back stays the one that has worked.</summary>
    public async Task TryProxyAsync(string? proxy, CancellationToken cancellationToken)
    {
        await ChangeAsync(config => config with { Proxy = proxy, ProxyTrial = config.ProxyTrial ?? new ProxyTrial(config.Proxy) }, cancellationToken);
        _problem = null;
    }

    /// <summary>The vault has been reached through it.</summary>
    public Task KeepProxyAsync(CancellationToken cancellationToken) => ChangeAsync(config => config with { ProxyTrial = null }, cancellationToken);

    /// <summary>Back to the one before.</summary>
    public async Task GiveProxyUpAsync(string problem, CancellationToken cancellationToken)
    {
        await ChangeAsync(config => config.ProxyTrial is { } trial ? config with { Proxy = trial.Before, ProxyTrial = null } : config, cancellationToken);
        _problem = problem;
    }

    /// <param name="text">With commas between; null and "none" for none.</param>
    /// <exception cref="ErrorException">One of them can except nothing.</exception>
    public static IReadOnlyList<string> CheckedExceptions(string? text)
    {
        string[] exceptions = text is null or ProxyState.None ? [] : text.Split(',', StringSplitOptions.TrimEntries);
        foreach (string exception in exceptions)
        {
            if (ProxyChoice.WhyNot(exception) is { } why)
            {
                throw new ErrorException(Errors.BadValue("--proxy-except", exception, why));
            }
        }

        return exceptions;
    }

    private async Task ChangeAsync(Func<AgentConfig, AgentConfig> change, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        AgentConfig changed = change(_config);
        await changed.WriteAsync(store, cancellationToken);
        _config = changed;
    }
}
