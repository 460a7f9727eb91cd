using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Backup;

/// <summary>
/// Puts a copy of the vault's state on every target host it manages (REG-8), each interval, and when a protection has begun or
/// ended since the last one: a vault made again from a copy could do nothing with what it does not know. On every host while
/// there is no target yet. A host that was away gets its copy when it is back. One loop; a copy that is asked for by hand waits for it.
/// </summary>
internal sealed partial class CopyLoop(
    VaultStorage storage, CopyMaker maker, AgentRegistry agents, EventJournal events, Changes changes, VaultSettings settings, ILogger<CopyLoop> logger)
{
    /// <summary>How often it looks for a host whose copy is due.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(1);

    /// <summary>A gigabyte over a slow link; then the next host has its turn.</summary>
    private static readonly TimeSpan SendLimit = TimeSpan.FromMinutes(30);

    private readonly Blocks.AsyncGate _gate = new();
    private readonly HashSet<Guid> _failing = []; // hosts of which the failure has been told; behind the gate

    public async Task RunAsync(CancellationToken stopping)
    {
        maker.Forget();
        try
        {
            while (true)
            {
                Task hosts = changes.Next(Changes.Hosts); // one that connects need not wait for the next look
                Task protections = changes.Next(Changes.Protections);
                await TryAsync(onlyDue: true, stopping);
                await Task.WhenAny(hosts, protections, Task.Delay(LookEvery, settings.Time, stopping));
                stopping.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The vault stops; a part of a copy at a host is no copy.
        }
    }

    /// <summary>A copy now, on every host that gets one and is connected. Returns the names of those.</summary>
    public async Task<IReadOnlyList<string>> CopyNowAsync(CancellationToken cancellationToken)
    {
        using Blocks.AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        return await CopyAsync(onlyDue: false, cancellationToken);
    }

    private async Task TryAsync(bool onlyDue, CancellationToken stopping)
    {
        try
        {
            using Blocks.AsyncGate.Pass inside = await _gate.EnterAsync(stopping);
            await CopyAsync(onlyDue, stopping);
        }
        catch (Exception fault) when (!stopping.IsCancellationRequested)
        {
            NotMade(logger, fault); // Tried again at the next look.
        }
    }

    private async Task<IReadOnlyList<string>> CopyAsync(bool onlyDue, CancellationToken cancellationToken)
    {
        List<HostRow> hosts = await HostsAsync(onlyDue, cancellationToken);
        if (hosts.Count == 0)
        {
            return [];
        }

        MadeCopy copy = await maker.MakeAsync(cancellationToken);
        try
        {
            List<string> sent = [];
            foreach (HostRow host in hosts)
            {
                if (await SendAsync(host, copy, cancellationToken) is not { } why)
                {
                    await NoteAsync(host, copy, cancellationToken);
                    _failing.Remove(host.Id);
                    sent.Add(host.Name);
                }
                else if (_failing.Add(host.Id))
                {
                    await events.AddAsync(HealthLevel.Warning, "vault-copy-failed", null, host.Id,
                        $"{host.Name} did not take a copy of the vault's state: {why}. It is tried again each minute.", cancellationToken);
                }
            }

            return sent;
        }
        finally
        {
            maker.Forget();
        }
    }

    /// <summary>Connected hosts that get copies; due ones only, or all.</summary>
    private async Task<List<HostRow>> HostsAsync(bool onlyDue, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        DateTimeOffset now = settings.Time.GetUtcNow();
        DateTimeOffset? change = onlyDue ? await LastChangeAsync(db, cancellationToken) : null;
        DateTimeOffset due = Later(now - settings.CopyEvery, change > now ? now : change); // a clock that was ahead has made times that are not yet
        HashSet<Guid> targets = [.. await db.Protections.Select(row => row.TargetHost).ToListAsync(cancellationToken)];
        HashSet<Guid> fresh = onlyDue ? [.. await db.VaultCopies.Where(row => row.TakenAt >= due && row.TakenAt <= now).Select(row => row.HostId).ToListAsync(cancellationToken)] : [];
        List<HostRow> hosts = await db.Hosts.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken);
        return [.. hosts.Where(host => (targets.Count == 0 || targets.Contains(host.Id)) && !fresh.Contains(host.Id) && agents.Find(new HostId(host.Id)) is not null)];
    }

    /// <summary>When what is protected changed last: a row comes with its job's beginning and goes with its end.</summary>
    private static async Task<DateTimeOffset?> LastChangeAsync(VaultDb db, CancellationToken cancellationToken)
    {
        string protect = JobAction.Protect.Word();
        string unprotect = JobAction.Unprotect.Word();
        IQueryable<JobRow> changes = db.Jobs.Where(job => job.Action == protect || job.Action == unprotect);
        DateTimeOffset? begun = await changes.MaxAsync(job => (DateTimeOffset?)job.CreatedAt, cancellationToken);
        DateTimeOffset? ended = await changes.MaxAsync(job => job.EndedAt, cancellationToken);
        return begun is { } b && ended is { } e ? Later(b, e) : begun;
    }

    private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset? b) => b > a ? b.Value : a;

    /// <returns>Why it does not have it; null when it has.</returns>
    private async Task<string?> SendAsync(HostRow host, MadeCopy copy, CancellationToken cancellationToken)
    {
        if (agents.Find(new HostId(host.Id)) is not { } session)
        {
            return "it went away";
        }

        using CancellationTokenSource limit = new(SendLimit, settings.Time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        await using FileStream file = File.OpenRead(copy.Path);
        int parts = (int)((copy.Bytes + VaultCopyRequest.MaxPartBytes - 1) / VaultCopyRequest.MaxPartBytes);
        try
        {
            for (int part = 0; part < parts; part++)
            {
                byte[] bytes = new byte[Math.Min(VaultCopyRequest.MaxPartBytes, copy.Bytes - file.Position)];
                await file.ReadExactlyAsync(bytes, either.Token);
                VaultCopyRequest request = new(copy.Header.FileName, part, parts, bytes, copy.Sha256);
                switch (await session.InvokeAsync(AgentMethods.VaultCopy, null, request, null, either.Token))
                {
                    case AgentReply<Nothing>.Refused refused:
                        return refused.Error.Error.ToString();
                    case AgentReply<Nothing>.Lost:
                        return "the connection ended";
                }
            }

            return null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"it took more than {Durations.Format(SendLimit)}";
        }
    }

    private async Task NoteAsync(HostRow host, MadeCopy copy, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        List<VaultCopyRow> before = await db.VaultCopies.Where(row => row.HostId == host.Id).OrderByDescending(row => row.TakenAt).ToListAsync(cancellationToken);
        db.VaultCopies.RemoveRange(before.Where(row => row.Name == copy.Header.FileName));
        db.VaultCopies.RemoveRange(before.Where(row => row.Name != copy.Header.FileName).Skip(VaultCopyRequest.Kept - 1));
        await db.SaveChangesAsync(cancellationToken);
        db.VaultCopies.Add(new VaultCopyRow { HostId = host.Id, Name = copy.Header.FileName, TakenAt = copy.Header.TakenAt, Bytes = copy.Bytes });
        await db.SaveChangesAsync(cancellationToken);
        Sent(logger, copy.Header.FileName, copy.Bytes, host.Name);
    }

    [LoggerMessage(430, LogLevel.Debug, "Copy {Name}, {Bytes} bytes, is at {Host}")]
    private static partial void Sent(ILogger logger, string name, long bytes, string host);

    [LoggerMessage(431, LogLevel.Error, "No copy of the vault's state could be made; tried again in a minute")]
    private static partial void NotMade(ILogger logger, Exception fault);
}
