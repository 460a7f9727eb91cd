using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>
/// Choosing which site of two listens. All that can be refused is refused before the choice is kept: hosts that would be dialled
/// must have an address, and answer at it from the other side, as far as both are connected. From then on
/// <see cref="LinkKeeper"/> brings it into force.
/// </summary>
internal sealed class LinkCommand(
    VaultStorage storage, SiteLinks links, LinkKeeper keeper, AgentRegistry agents, EventJournal events, IIdSource ids, TimeProvider time)
{
    public const string Default = "default";

    private static readonly TimeSpan _callLimit = TimeSpan.FromSeconds(20);

    public async Task<SiteLinkedDto> SetAsync(SiteLinkSetDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        SiteRow one = await SiteStore.FindAsync(db, request.Site, cancellationToken);
        SiteRow other = await SiteStore.FindAsync(db, request.Other, cancellationToken);
        if (one.Id == other.Id)
        {
            throw new ErrorException(Errors.SameSiteTwice(one.Name));
        }

        SiteLink? wanted = Wanted(request.Listens, one, other);
        LinkScene scene = await links.LoadAsync(db, cancellationToken);
        scene = scene with { Links = [.. scene.Links.Where(link => !link.Joins(new SiteId(one.Id), new SiteId(other.Id))), .. wanted is null ? Array.Empty<SiteLink>() : [wanted]] };
        RequireListeners(scene, one, other);
        using PortTrials.Trial trial = keeper.Trials.Begin();
        IReadOnlyList<string> untried = await TryWaysAsync(Ways(scene, wanted, one, other), trial, cancellationToken);
        await KeepAsync(db, one, other, wanted, cancellationToken);
        string text = wanted is null ? "the target of a VM listens" : $"only {Name(wanted.Listens)} listens";
        await events.AddAsync(HealthLevel.Normal, "site-link", null, null, $"Between {one.Name} and {other.Name} {text}, chosen by {user}.", CancellationToken.None);
        return new SiteLinkedDto(one.Name, other.Name, wanted is null ? null : Name(wanted.Listens), untried);

        string Name(SiteId site) => site.Value == one.Id ? one.Name : other.Name;
    }

    /// <summary>Null for the default.</summary>
    private static SiteLink? Wanted(string? listens, SiteRow one, SiteRow other) => listens switch
    {
        Default => null,
        _ when listens == one.Name => new SiteLink(new SiteId(one.Id), new SiteId(other.Id), new SiteId(one.Id)),
        _ when listens == other.Name => new SiteLink(new SiteId(one.Id), new SiteId(other.Id), new SiteId(other.Id)),
        _ => throw new ErrorException(Errors.BadValue("listens", listens ?? "", $"it is one of the two sites ({one.Name}, {other.Name}), or {Default}")),
    };

    /// <summary>A VM whose two hosts are of one site needs that site to listen.</summary>
    private static void RequireListeners(LinkScene scene, params SiteRow[] sites)
    {
        foreach (SiteRow site in sites)
        {
            SiteId id = new(site.Id);
            if (!LinkRules.Listens(id, scene.Hosts, scene.Links) && scene.Vms.FirstOrDefault(vm => vm.Source.Site == id && vm.Target.Site == id) is { } inside)
            {
                throw new ErrorException(Errors.SiteListensNowhere(site.Name, inside.Name));
            }
        }
    }

    /// <summary>Who will dial whom: with a choice each host of the site that listens, from any of the other; by default as the
    /// VMs between the two need it.</summary>
    private static IEnumerable<(IReadOnlyList<LinkedHost> From, LinkedHost To)> Ways(LinkScene scene, SiteLink? wanted, SiteRow one, SiteRow other)
    {
        if (wanted is not null)
        {
            SiteId dials = wanted.Listens.Value == one.Id ? new SiteId(other.Id) : new SiteId(one.Id);
            LinkedHost[] diallers = [.. scene.Hosts.Where(host => host.Site == dials)];
            return scene.Hosts.Where(host => host.Site == wanted.Listens).Select(host => ((IReadOnlyList<LinkedHost>)diallers, host));
        }

        SiteLink between = new(new SiteId(one.Id), new SiteId(other.Id), default);
        return scene.Vms.Where(vm => between.Joins(vm.Source.Site, vm.Target.Site))
            .GroupBy(vm => vm.Target.Id)
            .Select(group => ((IReadOnlyList<LinkedHost>)[.. group.Select(vm => vm.Source).DistinctBy(host => host.Id)], group.First().Target));
    }

    /// <returns>Hosts that could not be tried, one line each.</returns>
    private async Task<IReadOnlyList<string>> TryWaysAsync(
        IEnumerable<(IReadOnlyList<LinkedHost> From, LinkedHost To)> ways, PortTrials.Trial trial, CancellationToken cancellationToken)
    {
        List<string> untried = [];
        foreach ((IReadOnlyList<LinkedHost> from, LinkedHost to) in ways)
        {
            if (LinkRules.WhyUnreachable(to.Endpoint) is { } why)
            {
                throw new ErrorException(Errors.HostWithoutAddress(to.Name, to.Endpoint, why));
            }

            if (await WhyUntriedAsync(from, to, trial, cancellationToken) is { } reason)
            {
                untried.Add(reason);
            }
        }

        return untried;
    }

    /// <summary>Dials as the other agents will. The port is opened first, and stays so until the choice is kept or refused; in the
    /// second case the keeper closes it then.</summary>
    private async Task<string?> WhyUntriedAsync(IReadOnlyList<LinkedHost> from, LinkedHost to, PortTrials.Trial trial, CancellationToken cancellationToken)
    {
        if (agents.Find(to.Id) is not { } listener)
        {
            return $"{to.Name} is not connected: whether it can be reached at {to.Endpoint} was not tried";
        }

        LinkedHost? dials = from.FirstOrDefault(host => agents.Find(host.Id) is not null);
        if (dials is null || agents.Find(dials.Id) is not { } dialler)
        {
            return $"no host that dials {to.Name} is connected: whether it can be reached at {to.Endpoint} was not tried";
        }

        trial.Add(to.Id);
        using CancellationTokenSource limit = new(_callLimit, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            // Also when it is said to be open: it may just have been told to close.
            if (await keeper.ListenAsync(listener, listens: true, new OperationId(ids.NewGuid()), either.Token) is { } refused)
            {
                throw new ErrorException(refused);
            }

            AgentReply<PeerCheckAnswer> reply = await dialler.InvokeAsync(
                AgentMethods.PeerCheck, null, new PeerCheckRequest(to.Endpoint, to.Id), null, either.Token);
            return reply is AgentReply<PeerCheckAnswer>.Answered { Value.Error: { } error }
                ? throw new ErrorException(Errors.HostUnreachable(to.Name, to.Endpoint, dials.Name, error.What))
                : null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{to.Name} or {dials.Name} did not answer in time: whether {to.Name} can be reached at {to.Endpoint} was not tried";
        }
    }

    private static async Task KeepAsync(VaultDb db, SiteRow one, SiteRow other, SiteLink? wanted, CancellationToken cancellationToken)
    {
        (Guid lesser, Guid greater) = one.Id.CompareTo(other.Id) < 0 ? (one.Id, other.Id) : (other.Id, one.Id);
        SiteLinkRow? row = await db.SiteLinks.SingleOrDefaultAsync(candidate => candidate.One == lesser && candidate.Other == greater, cancellationToken);
        if (wanted is null)
        {
            db.SiteLinks.RemoveRange(row is null ? [] : [row]);
        }
        else if (row is null)
        {
            db.SiteLinks.Add(new SiteLinkRow { One = lesser, Other = greater, Listens = wanted.Listens.Value });
        }
        else
        {
            row.Listens = wanted.Listens.Value;
        }

        await db.SaveChangesAsync(cancellationToken);
    }
}
