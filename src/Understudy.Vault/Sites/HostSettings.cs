using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>What the vault changes at a host that has joined (REG-2, REG-3): its name, and the proxy by which it dials here.</summary>
internal sealed class HostSettings(
    VaultStorage storage, AgentRegistry agents, HostStore hosts, HostDuties duties, AgentNews news, EventJournal events, IIdSource ids, TimeProvider time)
{
    private const int LongestName = 253; // of a name in DNS, which the default is

    /// <summary>A trial, and the agent's pauses between two attempts on the way back.</summary>
    private static readonly TimeSpan _answerLimit = ProxyState.TrialLimit + TimeSpan.FromSeconds(40);

    private static readonly TimeSpan _lookEvery = TimeSpan.FromMilliseconds(250);

    public async Task<HostDto> SetAsync(string nameOrId, HostSetDto request, string user, CancellationToken cancellationToken)
    {
        if (request is { Name: null, Proxy: null })
        {
            throw new ErrorException(Errors.MissingValue("a name or a proxy"));
        }

        string? proxy = request.Proxy is { } wanted ? ProxyState.Checked(wanted) : null;
        await using VaultDb db = storage.Open();
        HostRow host = await HostStore.FindAsync(db, nameOrId, cancellationToken);
        if (request.Proxy is not null && agents.Find(new HostId(host.Id)) is null)
        {
            throw new ErrorException(Errors.HostOffline(host.Name) with
            {
                Next = "On the host itself: `understudy local set --proxy http://NAME:PORT`, or `--no-proxy`.",
            });
        }

        if (request.Name is { } name && name != host.Name)
        {
            await RenameAsync(db, host, name, user, cancellationToken);
        }

        if (request.Proxy is not null)
        {
            await UseProxyAsync(new HostId(host.Id), host.Name, proxy, cancellationToken);
        }

        return await hosts.GetAsync(host.Id.ToString(), cancellationToken);
    }

    /// <exception cref="ErrorException">No host can have it.</exception>
    public static void CheckName(string name)
    {
        bool lawful = name.Length is > 0 and <= LongestName && char.IsAsciiLetterOrDigit(name[0])
            && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' or '_') && !Guid.TryParse(name, out _);
        if (!lawful)
        {
            throw new ErrorException(Errors.BadValue("host name", name, $"it has 1 to {LongestName} letters, digits, dots, hyphens and underscores, and begins with a letter or digit"));
        }
    }

    /// <summary>A host that is away hears of it when it is back.</summary>
    private async Task RenameAsync(VaultDb db, HostRow host, string name, string user, CancellationToken cancellationToken)
    {
        CheckName(name);
        if (await db.Hosts.AnyAsync(row => row.Name == name, cancellationToken))
        {
            throw new ErrorException(Errors.Exists("host", name));
        }

        string before = host.Name;
        host.Name = name;
        await db.SaveChangesAsync(cancellationToken);
        duties.Post(new HostId(host.Id));
        await events.AddAsync(HealthLevel.Normal, "host-renamed", null, host.Id, $"{before} is called {name} now ({user}).", CancellationToken.None);
    }

    /// <summary>The agent answers over the connection it has, then dials by the new way; how that ended is in the facts of the
    /// connection after it.</summary>
    private async Task UseProxyAsync(HostId host, string name, string? proxy, CancellationToken cancellationToken)
    {
        AgentSession session = agents.Find(host) ?? throw new ErrorException(Errors.HostOffline(name));
        HostConfigureRequest request = new(Proxy: proxy ?? ProxyState.None);
        ProxyState? state = null;
        HostFacts? known = await ForgetProxyAsync(host, cancellationToken);
        switch (await session.InvokeAsync(AgentMethods.HostConfigure, new OperationId(ids.NewGuid()), request, null, cancellationToken))
        {
            case AgentReply<HostFactsAnswer>.Answered answered:
                state = answered.Value.Facts.Proxy;
                if (state is { OnTrial: false })
                {
                    await news.OnFactsAsync(host, answered.Value.Facts, cancellationToken); // of a trial the end may be known already: it is newer
                }

                break;
            case AgentReply<HostFactsAnswer>.Refused refused:
                await (known is null ? ValueTask.CompletedTask : news.OnFactsAsync(host, known, cancellationToken));
                throw new ErrorException(refused.Error.Error);
        }

        long begun = time.GetTimestamp();
        while (state is null or { OnTrial: true })
        {
            if (time.GetElapsedTime(begun) > _answerLimit)
            {
                throw new ErrorException(Errors.HostWentAway(name, _answerLimit) with { Next = "It goes back by itself to the way it had; see its agent's log." });
            }

            await Task.Delay(_lookEvery, time, cancellationToken);
            await using VaultDb db = storage.Open();
            string? json = await db.Hosts.AsNoTracking().Where(row => row.Id == host.Value).Select(row => row.FactsJson).SingleOrDefaultAsync(cancellationToken);
            ProxyState? reported = VaultJson.Read(json, VaultJson.Default.HostFacts)?.Proxy;
            state = reported is { OnTrial: false } && (reported.Proxy == proxy || reported.Problem is not null) ? reported : state;
        }

        if (state.Proxy != proxy)
        {
            throw new ErrorException(Errors.ProxyUnusable(name, state.Problem ?? "The agent did not say why"));
        }
    }

    /// <summary>How an earlier trial ended must not be taken for the end of this one.</summary>
    private async Task<HostFacts?> ForgetProxyAsync(HostId host, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        HostFacts? known = HostStore.FactsOf(await db.Hosts.AsNoTracking().SingleAsync(row => row.Id == host.Value, cancellationToken));
        if (known is not null)
        {
            await news.OnFactsAsync(host, known with { Proxy = null }, cancellationToken);
        }

        return known;
    }
}
