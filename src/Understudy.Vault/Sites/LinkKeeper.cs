using Microsoft.Extensions.Logging;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>
/// Brings the choices of which site listens into force: looks what the agents do, tells the next of them what
/// <see cref="LinkPlan"/> allows, and looks again when they say that they do it. A host that is away is told when it is back.
/// An order given twice does nothing the second time.
/// </summary>
internal sealed partial class LinkKeeper(
    VaultStorage storage, SiteLinks links, AgentRegistry agents, AgentNews news, EventJournal events, Changes changes, IIdSource ids, TimeProvider time, ILogger<LinkKeeper> logger)
{
    private static readonly TimeSpan _callLimit = TimeSpan.FromSeconds(20);

    /// <summary>Between two looks, so that many reports make one.</summary>
    private static readonly TimeSpan _breath = TimeSpan.FromSeconds(1);

    /// <summary>Also without news: what was refused is tried again.</summary>
    private static readonly TimeSpan _lookEvery = TimeSpan.FromSeconds(30);

    private const int MaxSaid = 1000;

    public PortTrials Trials { get; } = new(changes);

    private readonly HashSet<string> _said = []; // refusals that are an event already; touched by the loop only

    public async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            while (true)
            {
                Task changed = Task.WhenAny(changes.Next(Changes.Links), changes.Next(Changes.Hosts));
                await TryLookAsync(stopping);
                await Task.Delay(_breath, time, stopping);
                await Task.WhenAny(changed, Task.Delay(_lookEvery, time, stopping));
                stopping.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The vault stops; the next start looks first.
        }
    }

    private async Task TryLookAsync(CancellationToken stopping)
    {
        try
        {
            LinkScene scene;
            await using (VaultDb db = storage.Open())
            {
                scene = await links.LoadAsync(db, stopping);
            }

            foreach (LinkOrder order in LinkPlan.Next(scene.Hosts, scene.Vms, scene.Links))
            {
                bool stands = order is LinkOrder.Port { Listens: false } && Trials.Has(order.To.Id);
                if (!stands && agents.Find(order.To.Id) is { } session)
                {
                    await GiveAsync(session, order, stopping);
                }
            }
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            NotDone(logger, fault);
        }
    }

    private async Task GiveAsync(AgentSession session, LinkOrder order, CancellationToken stopping)
    {
        using CancellationTokenSource limit = new(_callLimit, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        try
        {
            if (await OrderAsync(session, order, either.Token) is { } refusal && _said.Add($"{order.To.Name}: {refusal}"))
            {
                if (_said.Count > MaxSaid)
                {
                    _said.Clear();
                }

                await events.AddAsync(HealthLevel.Warning, "link-refused", VmOf(order), order.To.Id.Value, $"{order.To.Name}: {refusal}", stopping);
            }
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            TooSlow(logger, order.To.Name);
        }
    }

    /// <returns>Why not; null when it was done, and when the connection ended.</returns>
    private async Task<ErrorInfo?> OrderAsync(AgentSession session, LinkOrder order, CancellationToken cancellationToken)
    {
        OperationId operation = new(ids.NewGuid());
        switch (order)
        {
            case LinkOrder.Port port:
                return await ListenAsync(session, port.Listens, operation, cancellationToken);
            case LinkOrder.AtSource source:
                return WhyNot(await session.InvokeAsync(
                    AgentMethods.SourceLink,
                    operation,
                    new SourceLinkRequest(source.Vm.Vm, source.Vm.Replica, source.Vm.Target.Endpoint, source.TargetDials),
                    null,
                    cancellationToken));
            case LinkOrder.AtTarget target:
                return WhyNot(await session.InvokeAsync(
                    AgentMethods.TargetLink, operation, new TargetLinkRequest(target.Vm.Replica, target.SourceEndpoint), null, cancellationToken));
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    /// <summary>Opens or closes a host's port, and keeps what the agent then says of itself.</summary>
    public async Task<ErrorInfo?> ListenAsync(AgentSession session, bool listens, OperationId operation, CancellationToken cancellationToken)
    {
        AgentReply<HostFactsAnswer> reply = await session.InvokeAsync(AgentMethods.HostListen, operation, new HostListenRequest(listens), null, cancellationToken);
        if (reply is AgentReply<HostFactsAnswer>.Answered { Value.Facts: { } facts })
        {
            await news.OnFactsAsync(session.Host, facts, cancellationToken);
            changes.Publish(Changes.Links);
        }

        return WhyNot(reply);
    }

    private static ErrorInfo? WhyNot<T>(AgentReply<T> reply) => reply is AgentReply<T>.Refused refused ? refused.Error.Error : null;

    private static Guid? VmOf(LinkOrder order) => order switch
    {
        LinkOrder.AtSource source => source.Vm.Vm.Value,
        LinkOrder.AtTarget target => target.Vm.Vm.Value,
        _ => null,
    };

    [LoggerMessage(230, LogLevel.Error, "Who dials whom could not be looked at; tried again")]
    private static partial void NotDone(ILogger logger, Exception fault);

    [LoggerMessage(231, LogLevel.Warning, "{Host} did not answer who dials whom in time; told again")]
    private static partial void TooSlow(ILogger logger, string host);
}
