using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Agents;

/// <summary>
/// Reports of both sides. The agents are right: what they did without the vault, or against its word, becomes what it knows,
/// and an event says so.
/// A report, and what is told because of it, are kept together or not at all; the board has it after that. So what a vault that
/// stumbled has not told is told when the agent says it again. One at a time, so that each is judged against the one before;
/// the database has one writer in any case.
/// </summary>
/// <param name="isConnected">Whether what a host said last is what it says now.</param>
internal sealed class ReportNews(
    VaultStorage storage, ReportBoard board, RpoHistory history, Reunions reunions, EventJournal events, Changes changes, TimeProvider time, Func<HostId, bool> isConnected)
{
    /// <summary>A report that was on its way while its protection ended.</summary>
    private static readonly TimeSpan _late = TimeSpan.FromMinutes(1);

    private readonly AsyncGate _oneByOne = new();
    private readonly HashSet<ReplicaId> _strangers = []; // already told of; only within the gate, as the next
    private readonly HashSet<VmId> _claimed = []; // of which a person knows
    private readonly Dictionary<VmId, HashSet<string>> _stops = []; // why replication stands still, as told since it last went on

    public async ValueTask OnSourceAsync(HostId host, SourceReport report, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _oneByOne.EnterAsync(cancellationToken);
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == report.Vm.Value, cancellationToken);
        if (row is null || row.SourceHost != host.Value || row.Replica != report.Replica.Value)
        {
            await OnOldSourceAsync(db, host, report, cancellationToken);
            return;
        }

        Policy policy = await db.PolicyOfAsync(row.Policy, cancellationToken);
        DateTimeOffset at = time.GetUtcNow();
        VmReports before = board.Get(report.Vm);
        VmReports now = before.With(report, at, policy);
        row.SourceReportJson = VaultJson.Write(report, VaultJson.Default.SourceReport);
        bool isClaim = await AddNewsAsync(db, row, host, before, now, cancellationToken);
        if (await StandsAsync(db, cancellationToken))
        {
            board.Set(report.Vm, report, at, policy);
            await TellAsync(db, row, before, now, isClaim, cancellationToken);
        }
    }

    public async ValueTask OnTargetAsync(HostId host, TargetReport report, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _oneByOne.EnterAsync(cancellationToken);
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == report.Vm.Value, cancellationToken);
        if (row is null || row.TargetHost != host.Value || row.Replica != report.Replica.Value)
        {
            await TellStrangerAsync(db, host, report.Vm, report.Replica, "holds", cancellationToken);
            return;
        }

        VmReports before = board.Get(report.Vm);
        VmReports now = before.With(report);
        row.TargetReportJson = VaultJson.Write(report, VaultJson.Default.TargetReport);
        row.Line = report.Line.ToString();
        bool inOperation = await db.Leases.AnyAsync(lease => lease.VmId == row.VmId, cancellationToken);
        ProtectionStage stage = Enum.Parse<ProtectionStage>(row.Stage);
        ProtectionStage? found = inOperation ? null : row.Follow(now, time.GetUtcNow());
        if (found is { } followed && Takeover.Say(stage, followed, row.Name, report) is { } news)
        {
            events.Add(db, news.Severity, news.Kind, row.VmId, host.Value, news.Text);
        }

        bool isClaim = await AddNewsAsync(db, row, host, before, now, cancellationToken);
        if (await StandsAsync(db, cancellationToken))
        {
            board.Set(report.Vm, report);
            await TellAsync(db, row, before, now, isClaim, cancellationToken);
        }
    }

    /// <summary>A replica that is there and cannot be opened: what is known of it stands, with the reason why nothing can be done with it.</summary>
    public async ValueTask OnUnavailableAsync(HostId host, ReplicaUnavailable replica, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _oneByOne.EnterAsync(cancellationToken);
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == replica.Vm.Value, cancellationToken);
        if (row is null || row.TargetHost != host.Value || (replica.Replica is { } id && row.Replica != id.Value))
        {
            return; // told of as a stranger's, when it can be read
        }

        VmReports before = board.Get(replica.Vm);
        TargetReport report = (before.Target ?? Unknown(row)) with { Error = replica.Error };
        VmReports now = before.With(report);
        row.TargetReportJson = VaultJson.Write(report, VaultJson.Default.TargetReport);
        if (before.Target?.Error != replica.Error)
        {
            events.Add(db, HealthLevel.Critical, "replica-unavailable", row.VmId, host.Value, replica.Error.ToString());
        }

        bool isClaim = await AddNewsAsync(db, row, host, before, now, cancellationToken);
        if (await StandsAsync(db, cancellationToken))
        {
            board.Set(replica.Vm, report);
            await TellAsync(db, row, before, now, isClaim, cancellationToken);
        }
    }

    /// <summary>Saves the report, and what is told of it, with its protection or its old disks; false when those have ended since they were read.</summary>
    private static async Task<bool> StandsAsync(VaultDb db, CancellationToken cancellationToken)
    {
        try
        {
            await db.SaveChangesAsync(cancellationToken);
            return true;
        }
        catch (DbUpdateConcurrencyException)
        {
            return false; // nothing was written: of all rows only one that is gone refuses
        }
    }

    private static TargetReport Unknown(ProtectionRow row) => new(
        new VmId(row.VmId), new ReplicaId(row.Replica), LineId.TryParse(row.Line, out LineId line) ? line : default, TargetPhase.Receiving, 0, null, null, 0, 0, [], null);

    /// <summary>What is worth an event becomes true with the report.</summary>
    /// <returns>The source has the VM by a claim, of which a person knows when this is kept.</returns>
    private async Task<bool> AddNewsAsync(VaultDb db, ProtectionRow row, HostId host, VmReports before, VmReports now, CancellationToken cancellationToken)
    {
        VmId vm = new(row.VmId);

        // From the last word of a target that is away a hand-over that it had a part in since looks like a claim.
        bool isClaim = ReportChanges.IsClaimed(now) && (host.Value == row.TargetHost || isConnected(new HostId(row.TargetHost)));
        foreach (News news in ReportChanges.Between(row.Name, before, now, isClaim && !_claimed.Contains(vm)))
        {
            if (news.Kind == ReportChanges.Stopped && (IsTold(vm, now) || await IsEndingAsync(db, row.VmId, cancellationToken)))
            {
                continue; // somebody knows, or it is what was asked for
            }

            events.Add(db, news.Severity, news.Kind, row.VmId, host.Value, news.Text);
        }

        return isClaim;
    }

    private void NoteClaim(VmId vm, VmReports now, bool isClaim)
    {
        if (isClaim)
        {
            _claimed.Add(vm);
        }
        else if (!ReportChanges.IsClaimed(now))
        {
            _claimed.Remove(vm);
        }
    }

    /// <summary>A link that is tried again and again may have a reason by turns: each is told once in one standstill, or an hour of it
    /// would drive everything else out of the journal.</summary>
    private bool IsTold(VmId vm, VmReports now) => now.Source?.Error is { } error && _stops.GetValueOrDefault(vm)?.Contains(error.Code) == true;

    private void NoteStop(VmId vm, VmReports now)
    {
        if (now.Source?.Error is not { } error)
        {
            _stops.Remove(vm);
        }
        else if (!_stops.TryGetValue(vm, out HashSet<string>? told))
        {
            _stops[vm] = [error.Code];
        }
        else
        {
            told.Add(error.Code);
        }
    }

    /// <summary>Who waits for such news hears of it, and the other side gets what it is owed because of it.</summary>
    private async Task TellAsync(VaultDb db, ProtectionRow row, VmReports before, VmReports now, bool isClaim, CancellationToken cancellationToken)
    {
        NoteClaim(new VmId(row.VmId), now, isClaim);
        NoteStop(new VmId(row.VmId), now);
        if (before.Newest is { } previous && now.Newest is { } newest && newest.CutAt > previous.CutAt)
        {
            history.Arrived(new VmId(row.VmId), previous.CutAt);
        }

        if (before.Source?.Link != now.Source?.Link || before.Target?.Link != now.Target?.Link)
        {
            changes.Publish(Changes.Links);
        }

        changes.Publish(Changes.Vm(row.VmId));
        reunions.Post(new VmId(row.VmId));
        await events.AddedAsync(db, cancellationToken);
    }

    /// <summary>Old disks that outlived their protection are listed until their host says that they are gone.</summary>
    private async Task OnOldSourceAsync(VaultDb db, HostId host, SourceReport report, CancellationToken cancellationToken)
    {
        RetiredRow? retired = await db.Retired.SingleOrDefaultAsync(row => row.Replica == report.Replica.Value && row.SourceHost == host.Value, cancellationToken);
        if (retired is null)
        {
            await TellStrangerAsync(db, host, report.Vm, report.Replica, "sends", cancellationToken);
            return;
        }

        retired.ReportJson = VaultJson.Write(report, VaultJson.Default.SourceReport);
        if (await StandsAsync(db, cancellationToken))
        {
            changes.Publish(Changes.Vm(retired.VmId));
        }
    }

    private static async Task<bool> IsEndingAsync(VaultDb db, Guid vm, CancellationToken cancellationToken)
    {
        string unprotect = JobAction.Unprotect.Word();
        return await db.Leases.AnyAsync(lease => lease.VmId == vm && db.Jobs.Any(job => job.Id == lease.JobId && job.Action == unprotect), cancellationToken);
    }

    /// <summary>Something of ours stands on a host and no list shows it: say so, once. Not of what was removed a moment ago, whose last
    /// report came late, nor of what the host is still to remove.</summary>
    private async Task TellStrangerAsync(VaultDb db, HostId host, VmId vm, ReplicaId replica, string does, CancellationToken cancellationToken)
    {
        string unprotect = JobAction.Unprotect.Word();
        DateTimeOffset lately = time.GetUtcNow() - _late;
        bool leaving = await db.Cleanups.AnyAsync(row => row.Replica == replica.Value, cancellationToken)
            || await db.Jobs.AnyAsync(job => job.VmId == vm.Value && job.Action == unprotect && (job.EndedAt == null || job.EndedAt > lately), cancellationToken);
        if (!leaving && !_strangers.Contains(replica))
        {
            await events.AddAsync(HealthLevel.Warning, "replica-unknown", vm.Value, host.Value,
                $"The host {does} replica {replica} of VM {vm}, which this vault does not know.", cancellationToken);
            _strangers.Add(replica);
        }
    }
}
