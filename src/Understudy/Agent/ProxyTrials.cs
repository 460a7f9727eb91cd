using System.Threading.Channels;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>
/// Changes the way to the vault without cutting the host off (REG-3): a new proxy is tried for
/// <see cref="ProxyState.TrialLimit"/>, and kept only once the vault has been reached through it; otherwise the agent goes back
/// to the one before, and says why. That a trial is on is durable before the connection that works is given up, so an agent
/// killed in between goes back as well.
/// </summary>
/// <param name="changed">Told after each change, so that the vault and the host's command line see it at once.</param>
internal sealed class ProxyTrials(AgentSettings settings, VaultLink link, Func<CancellationToken, Task> changed, TimeProvider time, ILogger logger)
{
    /// <summary>The vault that ordered the change gets its answer over the connection that is then given up.</summary>
    private static readonly TimeSpan AnswerFirst = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    private readonly Channel<bool> _begun = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite }); // a wake-up; one is enough

    /// <summary>A host that is cut off already has nothing to go back to: there the new one simply holds.</summary>
    public async Task BeginAsync(string? proxy, CancellationToken cancellationToken)
    {
        if (proxy == settings.Config.Proxy)
        {
            return;
        }

        if (link.Through is null && settings.Config.ProxyTrial is null)
        {
            await settings.UseProxyAsync(proxy, cancellationToken);
            link.Redial();
            return;
        }

        await settings.TryProxyAsync(proxy, cancellationToken);
        _begun.Writer.TryWrite(true);
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (settings.Config.ProxyTrial is null)
            {
                await _begun.Reader.ReadAsync(cancellationToken);
                await Task.Delay(AnswerFirst, time, cancellationToken);
                link.Redial(); // also out of a pause between two attempts
            }

            try
            {
                await TryAsync(cancellationToken);
                await changed(cancellationToken);
            }
            catch (StorageException notKept)
            {
                AgentLog.WayToVault(logger, $"How the trial of a proxy ended cannot be kept, so it goes on: {notKept.Message}");
                await Task.Delay(ProxyState.TrialLimit, time, cancellationToken);
            }
        }
    }

    private async Task TryAsync(CancellationToken cancellationToken)
    {
        long begun = time.GetTimestamp();
        while (settings.Config is { ProxyTrial: { } trial } config)
        {
            VaultLinkSettings? through = link.Through;
            if (through is not null && through.Proxy == settings.Proxy)
            {
                await settings.KeepProxyAsync(cancellationToken);
                Tell(HealthLevel.Normal, "proxy-changed", $"The vault is reached through {Word(config.Proxy)} now; before it was {Word(trial.Before)}.");
                return;
            }

            if (through is not null)
            {
                link.Redial(); // it had read the settings just before they changed
            }

            if (time.GetElapsedTime(begun) > ProxyState.TrialLimit)
            {
                string why = link.State.Error is { } error ? error.Why : "There was no answer.";
                string problem = $"The vault was not reached through {Word(config.Proxy)} within {Durations.Format(ProxyState.TrialLimit)}: {why} {Sentence(Word(trial.Before))} is used as before.";
                await settings.GiveProxyUpAsync(problem, cancellationToken);
                link.Redial();
                Tell(HealthLevel.Warning, "proxy-given-up", problem);
                return;
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    private void Tell(HealthLevel severity, string kind, string text)
    {
        AgentLog.WayToVault(logger, text);
        link.Post(new AgentEvent(time.GetUtcNow(), severity, kind, null, text));
    }

    private static string Word(string? proxy) => proxy is null ? "no proxy" : $"the proxy {proxy}";

    private static string Sentence(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
