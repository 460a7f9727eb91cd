using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Agents;

/// <summary>
/// What a host owes when it comes (back): its name, the settings of its VMs as they are now (CFG-1), and removals that were asked
/// for while it was away (REG-6). One loop, one host after the other, each waiting in it once; a host that is away now is posted
/// again by its hello, and one that did not take all of it after a pause.
/// </summary>
internal sealed partial class HostDuties(
    VaultStorage storage, AgentRegistry agents, ReportBoard board, EventJournal events, IIdSource ids, TimeProvider time, ILogger<HostDuties> logger)
{
    public const string Source = "source";
    public const string Target = "target";

    private const string NotCommitted = "not-committed"; // an agent's word: a failover stands there

    private const int MaxQueued = 4096; // hosts of one vault

    private static readonly TimeSpan _callLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan _again = TimeSpan.FromSeconds(20);

    /// <summary>What a host has refused waits for a person there, or for a branch that expires.</summary>
    private static readonly TimeSpan _refusedAgain = TimeSpan.FromHours(1);

    private readonly Channel<HostId> _hosts = Channel.CreateBounded<HostId>(
        new BoundedChannelOptions(MaxQueued) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });

    private readonly ConcurrentDictionary<HostId, ValueTuple> _waiting = new(); // in the channel
    private readonly ConcurrentDictionary<HostId, ValueTuple> _undone = new();
    private readonly ConcurrentDictionary<HostId, DateTimeOffset> _refused = new(); // when
    private readonly Dictionary<(Guid Host, Guid Replica), string> _told = []; // codes of refusals, so that each is told once in a life of the vault; the loop's alone

    /// <summary>Every job's end calls it for both hosts: a host that waits already is told then what is true then.</summary>
    public void Post(HostId host)
    {
        if (_waiting.TryAdd(host, default) && !_hosts.Writer.TryWrite(host))
        {
            _waiting.TryRemove(host, out _);
        }
    }

    public Task RunAsync(CancellationToken stopping) => Task.WhenAll(WorkAsync(stopping), PostAgainAsync(stopping));

    private async Task PostAgainAsync(CancellationToken stopping)
    {
        using PeriodicTimer timer = new(_again, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                foreach (HostId host in _undone.Keys)
                {
                    _undone.TryRemove(host, out _);
                    Post(host);
                }

                foreach (HostId host in _refused.Where(refusal => time.GetUtcNow() - refusal.Value >= _refusedAgain).Select(refusal => refusal.Key))
                {
                    _refused.TryRemove(host, out _);
                    Post(host);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // As below.
        }
    }

    private async Task WorkAsync(CancellationToken stopping)
    {
        try
        {
            await foreach (HostId host in _hosts.Reader.ReadAllAsync(stopping))
            {
                _waiting.TryRemove(host, out _); // before the look: what changes during it is looked at again
                if (agents.Find(host) is { } session)
                {
                    await DoAsync(session, stopping);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The vault stops; what is left is done at the next hello.
        }
    }

    private async Task DoAsync(AgentSession session, CancellationToken stopping)
    {
        using CancellationTokenSource limit = new(_callLimit, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        try
        {
            await SendNameAsync(session, either.Token);
            await SendSettingsAsync(session, either.Token);
            await CleanUpAsync(session, either.Token);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            TooSlow(logger, session.Host, _callLimit);
            _undone.TryAdd(session.Host, default);
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            NotDone(logger, session.Host, fault);
            _undone.TryAdd(session.Host, default);
        }
    }

    /// <summary>A host that was away while it was renamed, or is told now.</summary>
    private async Task SendNameAsync(AgentSession session, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        HostRow row = await db.Hosts.AsNoTracking().SingleAsync(candidate => candidate.Id == session.Host.Value, cancellationToken);
        if (VaultJson.Read(row.FactsJson, VaultJson.Default.HostFacts)?.DisplayName is { } known && known != row.Name)
        {
            await session.InvokeAsync(AgentMethods.HostConfigure, new OperationId(ids.NewGuid()), new HostConfigureRequest(Name: row.Name), null, cancellationToken);
        }
    }

    private async Task SendSettingsAsync(AgentSession session, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Guid host = session.Host.Value;
        List<ProtectionRow> rows = await db.Protections.AsNoTracking()
            .Where(row => (row.SourceHost == host || row.TargetHost == host) && row.Stage != nameof(ProtectionStage.Preparing))
            .ToListAsync(cancellationToken);
        Dictionary<string, Policy> policies = await db.Policies.AsNoTracking().ToDictionaryAsync(row => row.Name, row => row.ToModel(), cancellationToken);
        foreach (ProtectedVm vm in rows.Select(row => ProtectionRows.ToModel(row, [])))
        {
            ErrorInfo? refusal = vm.SourceHost == session.Host
                ? await ConfigureSourceAsync(session, vm, policies[vm.Policy], cancellationToken)
                : await AskAsync(session, AgentMethods.ReplicaConfigure, new ReplicaConfigureRequest(vm.Replica, SideSettings.OfTarget(vm, policies[vm.Policy])), cancellationToken);
            if (refusal is not null && await StandsAsync(vm, cancellationToken))
            {
                await events.AddAsync(HealthLevel.Warning, "settings-refused", vm.Vm.Value, host, $"{vm.Name}: {refusal}", cancellationToken);
            }
        }
    }

    /// <summary>It has not ended while the host was asked, and no job has it, at whose end it is asked again.</summary>
    private async Task<bool> StandsAsync(ProtectedVm vm, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return await db.Protections.AnyAsync(row => row.VmId == vm.Vm.Value && row.Replica == vm.Replica.Value, cancellationToken)
            && !await db.Leases.AnyAsync(lease => lease.VmId == vm.Vm.Value, cancellationToken);
    }

    private async Task<ErrorInfo?> ConfigureSourceAsync(AgentSession session, ProtectedVm vm, Policy policy, CancellationToken cancellationToken)
    {
        if (vm.Stage != ProtectionStage.Replicating)
        {
            return null; // it has nothing to send; it is told when the VM is its own again
        }

        ErrorInfo? refusal = await AskAsync(session, AgentMethods.SourceConfigure, new SourceConfigureRequest(vm.Vm, SideSettings.OfSource(policy)), cancellationToken);
        bool disksDiffer = board.Get(vm.Vm).Source is { } report && !(report.ExcludedDisks ?? []).Order(StringComparer.Ordinal).SequenceEqual(vm.ExcludedDisks);
        return refusal ?? (disksDiffer
            ? await AskAsync(session, AgentMethods.SourceDisks, new SourceDisksRequest(vm.Vm, vm.Replica, vm.ExcludedDisks), cancellationToken)
            : null);
    }

    /// <returns>Why not; null when it was done, and when the connection ended: then the next one does it.</returns>
    private async Task<ErrorInfo?> AskAsync<TRequest>(AgentSession session, AgentMethod<TRequest, Nothing> method, TRequest request, CancellationToken cancellationToken) =>
        await session.InvokeAsync(method, new OperationId(ids.NewGuid()), request, null, cancellationToken) is AgentReply<Nothing>.Refused refused ? refused.Error.Error : null;

    private async Task CleanUpAsync(AgentSession session, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        foreach (CleanupRow row in await db.Cleanups.Where(row => row.HostId == session.Host.Value).ToListAsync(cancellationToken))
        {
            if (await CleanUpAsync(session, db, row, cancellationToken) is { IsKept: false } plain)
            {
                await CleanUpAsync(session, db, plain.Row, cancellationToken);
            }
        }
    }

    /// <returns>What is to be asked for instead, from now on; null when nothing is, or nobody has answered.</returns>
    private async Task<(CleanupRow Row, bool IsKept)?> CleanUpAsync(AgentSession session, VaultDb db, CleanupRow row, CancellationToken cancellationToken)
    {
        OperationId operation = new(row.OperationId);
        AgentReply<Removed> reply = row.Side == Source
            ? await session.InvokeAsync(AgentMethods.SourceUnprotect, operation, RequestOf(row), null, cancellationToken)
            : await session.InvokeAsync(
                AgentMethods.TargetUnprotect,
                operation,
                new TargetUnprotectRequest(new VmId(row.VmId), new ReplicaId(row.Replica), SourceUntold: await db.IsSourceUntoldAsync(row.Replica, cancellationToken)),
                null,
                cancellationToken);
        switch (reply)
        {
            case AgentReply<Removed>.Answered answered:
                if (answered.Value.VmStays && !row.KeepGuard)
                {
                    // While the row stands, for which it is asked again: said twice is better than never.
                    await TellOfTwoAsync(row, "was committed there: it is an ordinary VM at both", "Compare the two, and shut down the one that is not wanted; nothing keeps either from running.", cancellationToken);
                }

                if (row is { Side: Source, KeepGuard: true } && answered.Value.Kept.Count == 0)
                {
                    await db.ForgetRetiredAsync(row.Replica, cancellationToken);
                }

                db.Cleanups.Remove(row);
                await db.SaveChangesAsync(cancellationToken);
                _told.Remove((row.HostId, row.Replica));
                await events.AddAsync(HealthLevel.Normal, "cleaned-up", row.VmId, row.HostId, $"What was left of {row.VmName}'s protection has been removed.", cancellationToken);
                return null;
            case AgentReply<Removed>.Refused { Error.Error: var error }:
                return await AskAnewAsync(db, row, error, cancellationToken);
            default:
                return null;
        }
    }

    /// <summary>A refusal is kept by the agent under its operation id: the next attempt needs another. One because the VM was claimed
    /// there by hand meanwhile would be given for ever: the end goes on without an old VM, and a person has to choose.</summary>
    private async Task<(CleanupRow Row, bool IsKept)> AskAnewAsync(VaultDb db, CleanupRow row, ErrorInfo refusal, CancellationToken cancellationToken)
    {
        await db.Entry(row).ReloadAsync(cancellationToken); // The target may have named a newer owner since.
        LineId? owner = row.KeepGuard && row.MintedAt is not null && LineId.TryParse(row.Line, out LineId line) ? line : null;
        string? said = await db.Retired.Where(old => old.Replica == row.Replica).Select(old => old.ReportJson).SingleOrDefaultAsync(cancellationToken);
        bool isClaimed = Standing.WasClaimedMeanwhile(owner, refusal.Code, said is null ? null : VaultJson.Read(said, VaultJson.Default.SourceReport));
        if (isClaimed)
        {
            await events.AddAsync(
                HealthLevel.Critical,
                "two-owners",
                row.VmId,
                row.HostId,
                $"{row.VmName}: its protection was ended with the VM staying at the other site, and it was claimed on this host by hand: it is an ordinary VM here, and so is what stands at the other site, or its images are there. "
                    + "Nothing keeps either from running: compare the two, and shut down the one that is not wanted.",
                cancellationToken);
        }
        else
        {
            _refused[new HostId(row.HostId)] = time.GetUtcNow();
            await TellRefusalAsync(row, refusal, cancellationToken);
        }

        CleanupRow next = new()
        {
            OperationId = ids.NewGuid(),
            HostId = row.HostId,
            VmId = row.VmId,
            Replica = row.Replica,
            VmName = row.VmName,
            Side = row.Side,
            KeepGuard = row.KeepGuard && !isClaimed,
            Line = isClaimed ? null : row.Line,
            MintedAt = isClaimed ? null : row.MintedAt,
        };
        db.Cleanups.Remove(row);
        db.Cleanups.Add(next);
        if (isClaimed)
        {
            await db.ForgetRetiredAsync(row.Replica, cancellationToken);
        }

        await db.SaveChangesAsync(cancellationToken);
        return (next, !isClaimed);
    }

    /// <summary>Once for each kind of refusal, however often it is asked again.</summary>
    private async Task TellRefusalAsync(CleanupRow row, ErrorInfo refusal, CancellationToken cancellationToken)
    {
        if (_told.GetValueOrDefault((row.HostId, row.Replica)) == refusal.Code) // The words change with every step that is made there.
        {
            return;
        }

        await (row is { Side: Target, KeepGuard: false } && refusal.Code == NotCommitted
            ? TellOfTwoAsync(
                row,
                "is not committed there: it is an ordinary VM at its source, and may run here as well",
                $"Compare the two. On this host `understudy local commit {row.Replica} --despite-vault` keeps the one here as an ordinary VM, "
                    + $"`understudy local cancel {row.Replica} --confirm OFFLINE --despite-vault` ends it and keeps what it wrote as a branch.",
                cancellationToken)
            : events.AddAsync(HealthLevel.Warning, "clean-up-refused", row.VmId, row.HostId, $"{row.VmName}: {refusal}", cancellationToken));
        _told[(row.HostId, row.Replica)] = refusal.Code;
    }

    private Task TellOfTwoAsync(CleanupRow row, string how, string next, CancellationToken cancellationToken) => events.AddAsync(
        HealthLevel.Critical,
        "two-owners",
        row.VmId,
        row.HostId,
        $"{row.VmName}: its protection was ended with the VM staying at its source. It had been failed over to this host, of which this vault had not heard, and {how}. {next}",
        cancellationToken);

    private static SourceUnprotectRequest RequestOf(CleanupRow row) => new(
        new VmId(row.VmId), new ReplicaId(row.Replica), row.KeepGuard, LineId.TryParse(row.Line, out LineId line) ? line : null, row.MintedAt);

    [LoggerMessage(211, LogLevel.Error, "The duties of agent {Host} were not done; they are sent again")]
    private static partial void NotDone(ILogger logger, HostId host, Exception fault);

    [LoggerMessage(210, LogLevel.Warning, "Agent {Host} took more than {Limit} over its duties; they are sent again")]
    private static partial void TooSlow(ILogger logger, HostId host, TimeSpan limit);
}
