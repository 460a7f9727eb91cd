using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Agents;

/// <summary>
/// Tells each side what the other side's record says (<see cref="Reunion"/>): a source that comes back after its VM was taken
/// over stops its copy within seconds (PRE-5), and what waited in transit arrives. Several VMs at a time, so that one agent
/// that hangs does not keep another's news. A VM in a job is left to its job.
/// </summary>
internal sealed partial class Reunions(VaultStorage storage, AgentRegistry agents, ReportBoard board, IIdSource ids, TimeProvider time, ILogger<Reunions> logger)
{
    private const int Workers = 8;
    private const int MaxQueued = 16_384; // VMs of one vault; a dropped one is posted again by its next report

    private static readonly TimeSpan _callLimit = TimeSpan.FromSeconds(20);

    /// <summary>Two copies may be running meanwhile.</summary>
    private static readonly TimeSpan _again = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<VmId, ValueTuple> _unheard = new(); // the workers add, the clock takes

    private readonly Channel<VmId> _vms = Channel.CreateBounded<VmId>(new BoundedChannelOptions(MaxQueued) { FullMode = BoundedChannelFullMode.DropOldest });

    /// <summary>Called with every report; nearly always nothing is owed.</summary>
    public void Post(VmId vm)
    {
        VmReports reports = board.Get(vm);
        (OwnershipInfo? source, OwnershipInfo? target) = (reports.Source?.Ownership, reports.Target?.Ownership);
        if ((Reunion.Of(source, target) ?? Reunion.WithoutSource(source, target)) is not null)
        {
            _vms.Writer.TryWrite(vm);
        }
    }

    public Task RunAsync(CancellationToken stopping) => Task.WhenAll([SayAgainAsync(stopping), .. Enumerable.Range(0, Workers).Select(_ => WorkAsync(stopping))]);

    private async Task WorkAsync(CancellationToken stopping)
    {
        try
        {
            await foreach (VmId vm in _vms.Reader.ReadAllAsync(stopping))
            {
                await TellAsync(vm, stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The vault stops; the next one sees the same reports.
        }
    }

    private async Task TellAsync(VmId vm, CancellationToken stopping)
    {
        using CancellationTokenSource limit = new(_callLimit, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        try
        {
            await using VaultDb db = storage.Open();
            ProtectionRow? row = await db.Protections.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.VmId == vm.Value, either.Token);
            if (row is null || await db.Leases.AnyAsync(lease => lease.VmId == vm.Value, either.Token))
            {
                return; // its job's end looks again
            }

            VmReports reports = board.Get(vm);
            (OwnershipInfo? known, OwnershipInfo? knownAtTarget) = (reports.Source?.Ownership, reports.Target?.Ownership);
            (AgentSession? source, AgentSession? target) = (agents.Find(new HostId(row.SourceHost)), agents.Find(new HostId(row.TargetHost)));
            Owed? found = (source, target) switch // of a side that is away only old news is known: for most it is asked when it is back
            {
                (null, null) => null,
                (null, _) => Reunion.WithoutSource(known, knownAtTarget),
                (_, null) => Reunion.WithoutTarget(known, knownAtTarget),
                _ => Reunion.Of(known, knownAtTarget),
            };
            if (found is { } owed && (source ?? target) is { } there)
            {
                Policy policy = await db.PolicyOfAsync(row.Policy, either.Token);
                Telling(logger, row.Name, owed);
                if (await SendAsync(owed, row, policy, source ?? there, target ?? there, either.Token) is AgentReply<Nothing>.Refused refused)
                {
                    Refused(logger, row.Name, owed, refused.Error.Error.ToString());
                    _unheard.TryAdd(vm, default);
                }
            }
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            TooSlow(logger, vm, _callLimit);
            _unheard.TryAdd(vm, default);
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            Broke(logger, vm, fault);
            _unheard.TryAdd(vm, default);
        }
    }

    /// <summary>What one did not take it may report no change of: nothing but the clock would say it again.</summary>
    private async Task SayAgainAsync(CancellationToken stopping)
    {
        using PeriodicTimer timer = new(_again, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                foreach (VmId vm in _unheard.Keys)
                {
                    _unheard.TryRemove(vm, out _);
                    Post(vm);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // As in the others.
        }
    }

    /// <param name="source">The other side where this one is away: then only that one is owed anything. Likewise <paramref name="target"/>.</param>
    private Task<AgentReply<Nothing>> SendAsync(Owed owed, ProtectionRow row, Policy policy, AgentSession source, AgentSession target, CancellationToken cancellationToken)
    {
        (VmId vm, ReplicaId replica) = (new VmId(row.VmId), new ReplicaId(row.Replica));
        return owed switch
        {
            Owed.Depose deposed => AskAsync(source, AgentMethods.SourceDepose, new SourceDeposeRequest(vm, replica, deposed.Line, deposed.MintedAt, policy.IsolatedSource)),
            Owed.HandOver taken => AskAsync(source, AgentMethods.SourceHandedOver, new SourceHandedOverRequest(vm, replica, taken.Transfer, taken.Line)),
            Owed.Accept offer => AskAsync(source, AgentMethods.SourceAccept, new SourceAcceptRequest(vm, replica, offer.Transfer, offer.Line, offer.Parent, row.RanAtSource)),
            Owed.Settle settled => AskAsync(target, AgentMethods.TransferSettled, new TransferSettledRequest(replica, settled.Transfer)),
            Owed.Revalidate asked => AskAsync(source, AgentMethods.SourceRevalidate, new SourceRevalidateRequest(vm, replica, asked.Line, asked.MintedAt, asked.Valid)),
            Owed.RevalidateTarget asked => AskAsync(target, AgentMethods.TargetRevalidate, new TargetRevalidateRequest(replica, asked.Line, asked.Valid)),
            _ => throw new System.Diagnostics.UnreachableException($"owed {owed}"),
        };

        Task<AgentReply<Nothing>> AskAsync<TRequest>(AgentSession to, AgentMethod<TRequest, Nothing> method, TRequest request) =>
            to.InvokeAsync(method, new OperationId(ids.NewGuid()), request, null, cancellationToken);
    }

    [LoggerMessage(220, LogLevel.Information, "VM {Vm}: passing on {Owed}")]
    private static partial void Telling(ILogger logger, string vm, Owed owed);

    [LoggerMessage(221, LogLevel.Warning, "VM {Vm}: {Owed} was refused: {Error}")]
    private static partial void Refused(ILogger logger, string vm, Owed owed, string error);

    [LoggerMessage(222, LogLevel.Warning, "VM {Vm}: an agent took more than {Limit} to take news; it gets them again")]
    private static partial void TooSlow(ILogger logger, VmId vm, TimeSpan limit);

    [LoggerMessage(223, LogLevel.Error, "VM {Vm}: news could not be passed on; it is tried again")]
    private static partial void Broke(ILogger logger, VmId vm, Exception fault);
}
