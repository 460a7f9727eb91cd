using Understudy.Api.Dialling;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>The part of <c>agent.json</c> that changes while the agent runs. Changes take turns; readers see the newest whole.</summary>
internal sealed class AgentSettings(IFileStore store, AgentConfig config)
{
    public const string NoProxy = "none";

    private readonly AsyncGate _gate = new();
    private volatile AgentConfig _config = config;

    public AgentConfig Config => _config;

    /// <summary>How this host's agent dials, whomever.</summary>
    public ProxyChoice Dials => new(Proxy, _config.ProxyExcept);

    /// <summary>Null for none.</summary>
    public Uri? Proxy => _config.Proxy is { } proxy ? new Uri(proxy) : null;

    /// <summary>Whether the replication port is to be open, also after the next start.</summary>
    public Task ListenAsync(bool listens, CancellationToken cancellationToken) =>
        ChangeAsync(config => config with { Listens = listens }, cancellationToken);

    /// <summary>Used for the next connection; one that stands goes on (REG-3).</summary>
    public Task UseProxyAsync(string proxy, CancellationToken cancellationToken) =>
        ChangeAsync(config => config with { Proxy = CheckedProxy(proxy) }, cancellationToken);

    /// <exception cref="ErrorException">It is no proxy's address.</exception>
    public static string? CheckedProxy(string proxy) => proxy switch
    {
        NoProxy or "" => null,
        _ when Uri.TryCreate(proxy, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https" => proxy,
        _ => throw new ErrorException(Errors.BadValue("proxy", proxy, "it is written http://NAME:PORT, or none")),
    };

    /// <param name="text">With commas between; null and "none" for none.</param>
    /// <exception cref="ErrorException">One of them can except nothing.</exception>
    public static IReadOnlyList<string> CheckedExceptions(string? text)
    {
        string[] exceptions = text is null or NoProxy ? [] : text.Split(',', StringSplitOptions.TrimEntries);
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
