using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Agents;

/// <summary>
/// Reports of both sides. The agents are right: what they did without the vault, or against its word, becomes what it knows,
/// and an event says so.
/// </summary>
internal sealed class ReportNews(
    VaultStorage storage, ReportBoard board, RpoHistory history, Reunions reunions, EventJournal events, Changes changes, TimeProvider time)
{
    /// <summary>A report that was on its way while its protection ended.</summary>
    private static readonly TimeSpan _late = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<ReplicaId, bool> _strangers = new(); // replicas already told of

    public async ValueTask OnSourceAsync(HostId host, SourceReport report, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == report.Vm.Value, cancellationToken);
        if (row is null || row.SourceHost != host.Value || row.Replica != report.Replica.Value)
        {
            await OnOldSourceAsync(db, host, report, cancellationToken);
            return;
        }

        Policy policy = await db.PolicyOfAsync(row.Policy, cancellationToken);
        (VmReports before, VmReports now) = board.Set(report.Vm, report, time.GetUtcNow(), policy);
        row.SourceReportJson = VaultJson.Write(report, VaultJson.Default.SourceReport);
        if (await StandsAsync(db, cancellationToken))
        {
            await TellAsync(row, host, before, now, cancellationToken);
        }
    }

    public async ValueTask OnTargetAsync(HostId host, TargetReport report, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == report.Vm.Value, cancellationToken);
        if (row is null || row.TargetHost != host.Value || row.Replica != report.Replica.Value)
        {
            await TellStrangerAsync(db, host, report.Vm, report.Replica, "holds", cancellationToken);
            return;
        }

        (VmReports before, VmReports now) = board.Set(report.Vm, report);
        row.TargetReportJson = VaultJson.Write(report, VaultJson.Default.TargetReport);
        row.Line = report.Line.ToString();
        bool inOperation = await db.Leases.AnyAsync(lease => lease.VmId == row.VmId, cancellationToken);
        ProtectionStage stage = Enum.Parse<ProtectionStage>(row.Stage);
        ProtectionStage? found = inOperation ? null : row.Follow(now, time.GetUtcNow());
        if (!await StandsAsync(db, cancellationToken))
        {
            return;
        }

        if (found is { } followed && Takeover.Say(stage, followed, row.Name, report) is { } news)
        {
            await events.AddAsync(news.Severity, news.Kind, row.VmId, host.Value, news.Text, cancellationToken);
        }

        await TellAsync(row, host, before, now, cancellationToken);
    }

    /// <summary>A replica that is there and cannot be opened: what is known of it stands, with the reason why nothing can be done with it.</summary>
    public async ValueTask OnUnavailableAsync(HostId host, ReplicaUnavailable replica, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == replica.Vm.Value, cancellationToken);
        if (row is null || row.TargetHost != host.Value || (replica.Replica is { } id && row.Replica != id.Value))
        {
            return; // told of as a stranger's, when it can be read
        }

        TargetReport report = (board.Get(replica.Vm).Target ?? Unknown(row)) with { Error = replica.Error };
        (VmReports before, VmReports now) = board.Set(replica.Vm, report);
        row.TargetReportJson = VaultJson.Write(report, VaultJson.Default.TargetReport);
        if (!await StandsAsync(db, cancellationToken))
        {
            return;
        }

        if (before.Target?.Error != replica.Error)
        {
            await events.AddAsync(HealthLevel.Critical, "replica-unavailable", row.VmId, host.Value, replica.Error.ToString(), cancellationToken);
        }

        await TellAsync(row, host, before, now, cancellationToken);
    }

    /// <summary>Saves the report with its protection; false when that has ended since it was read.</summary>
    private static async Task<bool> StandsAsync(VaultDb db, CancellationToken cancellationToken)
    {
        try
        {
            await db.SaveChangesAsync(cancellationToken);
            return true;
        }
        catch (DbUpdateConcurrencyException)
        {
            return false; // nothing was written: of all rows only a protection that is gone refuses
        }
    }

    private static TargetReport Unknown(ProtectionRow row) => new(
        new VmId(row.VmId), new ReplicaId(row.Replica), LineId.TryParse(row.Line, out LineId line) ? line : default, TargetPhase.Receiving, 0, null, null, 0, 0, [], null);

    /// <summary>What is worth an event, and what the other side is owed because of it.</summary>
    private async Task TellAsync(ProtectionRow row, HostId host, VmReports before, VmReports now, CancellationToken cancellationToken)
    {
        foreach (News news in ReportChanges.Between(row.Name, before, now))
        {
            if (news.Kind == ReportChanges.Stopped && await IsEndingAsync(row.VmId, cancellationToken))
            {
                continue; // that is what was asked for
            }

            await events.AddAsync(news.Severity, news.Kind, row.VmId, host.Value, news.Text, cancellationToken);
        }

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
        await db.SaveChangesAsync(cancellationToken);
        changes.Publish(Changes.Vm(retired.VmId));
    }

    private async Task<bool> IsEndingAsync(Guid vm, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
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
        if (!leaving && _strangers.TryAdd(replica, true))
        {
            await events.AddAsync(HealthLevel.Warning, "replica-unknown", vm.Value, host.Value,
                $"The host {does} replica {replica} of VM {vm}, which this vault does not know.", cancellationToken);
        }
    }
}
