using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Jobs;
using Understudy.Vault.Protection.Commands;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>
/// A host is to be rebooted (PRE-4). The VMs it is the source of are shut down, each by a job of its own that sends the last
/// change and gives the VM back at the end; where it holds replicas nothing is stopped, their sources spool.
/// </summary>
internal sealed class HostMaintenance(CommandDesk desk, JobRunner runner, AgentRegistry agents, EventJournal events, Changes changes, TimeProvider time)
{
    private readonly AsyncGate _beginning = new();

    /// <summary>Who is concerned, and how; begins nothing.</summary>
    public async Task<HostMaintenanceDto> ShowAsync(string host, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        HostRow row = await HostStore.FindAsync(db, host, cancellationToken);
        return await DescribeAsync(db, row, new Dictionary<Guid, string>(), cancellationToken);
    }

    public async Task<HostMaintenanceDto> BeginAsync(string host, MaintenanceBeginDto request, string user, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (request.Until is { } until && until <= now)
        {
            throw new ErrorException(Errors.BadValue("until", $"{until:yyyy-MM-ddTHH:mm:ssZ}", "it is over already"));
        }

        TimeSpan limit = FailoverCommands.ShutdownLimit(request.ShutdownLimit);
        string? reason = CommandDesk.Label(request.Reason);
        using AsyncGate.Pass inside = await _beginning.EnterAsync(cancellationToken); // The clock would take it for one that was left half begun.
        await using VaultDb db = desk.Open();
        HostRow row = await HostStore.FindAsync(db, host, cancellationToken);
        if (row.MaintenanceJson is not null)
        {
            throw new ErrorException(Errors.InMaintenance(row.Name));
        }

        if (agents.Find(new HostId(row.Id)) is null)
        {
            throw new ErrorException(Errors.HostOffline(row.Name));
        }

        MaintenanceNote note = new(now, request.Until, reason, user, HostStore.FactsOf(row)?.Boot, limit);
        row.MaintenanceJson = VaultJson.Write(note, VaultJson.Default.MaintenanceNote);
        await db.SaveChangesAsync(cancellationToken);
        await events.AddAsync(
            HealthLevel.Warning, "maintenance-begun", null, row.Id, $"{row.Name} is in maintenance{(reason is null ? "" : $": {reason}")} (by {user}).", CancellationToken.None);
        return await DescribeAsync(db, row, await BeginJobsAsync(db, row, note, limit, cancellationToken), cancellationToken);
    }

    /// <summary>A job for each VM that has had none in this maintenance; the note says so when all have.</summary>
    private async Task<IReadOnlyDictionary<Guid, string>> BeginJobsAsync(VaultDb db, HostRow row, MaintenanceNote note, TimeSpan limit, CancellationToken cancellationToken)
    {
        Dictionary<Guid, string> refusals = [];
        string action = JobAction.Maintenance.Word();
        foreach (ProtectionRow vm in await db.Protections.AsNoTracking().Where(vm => vm.SourceHost == row.Id).OrderBy(vm => vm.Name).ToListAsync(cancellationToken))
        {
            if (await db.Jobs.AnyAsync(job => job.VmId == vm.VmId && job.Action == action && job.CreatedAt >= note.Since, cancellationToken))
            {
                continue;
            }

            try
            {
                Subject subject = await desk.DecideAsync(db, vm.VmId.ToString(), VmCommand.Maintain, cancellationToken);
                FailoverInput input = new(subject.Vm.Replica, null, desk.RanAtSource(subject.Vm), limit);
                await desk.StartAsync(subject, input, note.By, CancellationToken.None);
            }
            catch (ErrorException refused)
            {
                refusals[vm.VmId] = refused.Error.Why;
            }
        }

        row.MaintenanceJson = VaultJson.Write(note with { StillToBegin = null }, VaultJson.Default.MaintenanceNote);
        await db.SaveChangesAsync(CancellationToken.None);
        return refusals;
    }

    /// <summary>Over now: each VM is given back by its own job.</summary>
    public async Task<HostMaintenanceDto> EndAsync(string host, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        HostRow row = await HostStore.FindAsync(db, host, cancellationToken);
        MaintenanceNote note = NoteOf(row) ?? throw new ErrorException(Errors.NotInMaintenance(row.Name));
        row.MaintenanceJson = VaultJson.Write(note with { Until = time.GetUtcNow() }, VaultJson.Default.MaintenanceNote);
        await db.SaveChangesAsync(cancellationToken);
        await LookAsync(row.Id, user, cancellationToken);
        return await DescribeAsync(db, await HostStore.FindAsync(db, host, cancellationToken), new Dictionary<Guid, string>(), cancellationToken);
    }

    /// <summary>
    /// Ends a maintenance that is over, once the host is there to take its VMs back: however long that is. Its note goes when
    /// every job has been told, so what could not be told now is told later. One that a vault left half begun goes on here.
    /// </summary>
    public async Task LookAsync(Guid host, string by, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _beginning.EnterAsync(cancellationToken);
        await using VaultDb db = desk.Open();
        HostRow? row = await db.Hosts.AsTracking().SingleOrDefaultAsync(candidate => candidate.Id == host, cancellationToken);
        bool isThere = agents.Find(new HostId(host)) is not null;
        if (row is null || !isThere || NoteOf(row) is not { } note)
        {
            return;
        }

        if (!note.IsOver(time.GetUtcNow(), HostStore.FactsOf(row)?.Boot))
        {
            if (note.StillToBegin is { } limit)
            {
                await BeginJobsAsync(db, row, note, limit, cancellationToken);
            }

            return;
        }

        foreach (JobRow job in await JobsOfAsync(db, host, cancellationToken))
        {
            if (!job.Completed && job.CancelRequestedBy is null && !await TellAsync(job, by, cancellationToken))
            {
                return;
            }
        }

        row.MaintenanceJson = null;
        await db.SaveChangesAsync(cancellationToken);
        await events.AddAsync(HealthLevel.Normal, "maintenance-over", null, host, $"The maintenance of {row.Name} is over.", CancellationToken.None);
        foreach (Guid vm in await db.Protections.Where(vm => vm.SourceHost == host || vm.TargetHost == host).Select(vm => vm.VmId).ToListAsync(cancellationToken))
        {
            changes.Publish(Changes.Vm(vm));
        }
    }

    public static MaintenanceNote? NoteOf(HostRow row) => VaultJson.Read(row.MaintenanceJson, VaultJson.Default.MaintenanceNote);

    private async Task<bool> TellAsync(JobRow job, string by, CancellationToken cancellationToken)
    {
        try
        {
            JobId id = new(job.Id);
            await (JobView.Wait(job) == JobWait.Maintenance
                ? runner.CompleteAsync(id, by, note: null, powerOff: false, confirm: null, cancellationToken)
                : runner.CancelAsync(id, by, cancellationToken));
            return true;
        }
        catch (ErrorException notNow) when (notNow.Error.Code == "vm-busy")
        {
            return false;
        }
        catch (ErrorException)
        {
            return true; // it is at its end by itself
        }
    }

    private static Task<List<JobRow>> JobsOfAsync(VaultDb db, Guid host, CancellationToken cancellationToken)
    {
        string action = JobAction.Maintenance.Word();
        return db.Jobs.AsNoTracking().Include(job => job.Steps)
            .Where(job => job.EndedAt == null && job.Action == action && db.Vms.Any(vm => vm.VmId == job.VmId && vm.HostId == host))
            .OrderBy(job => job.Id).ToListAsync(cancellationToken);
    }

    private async Task<HostMaintenanceDto> DescribeAsync(VaultDb db, HostRow host, IReadOnlyDictionary<Guid, string> refusals, CancellationToken cancellationToken)
    {
        MaintenanceNote? note = NoteOf(host);
        Dictionary<Guid, JobRow> jobs = (await JobsOfAsync(db, host.Id, cancellationToken)).ToDictionary(job => job.VmId);
        List<MaintainedVmDto> vms = [];
        foreach (ProtectionRow row in await db.Protections.AsNoTracking()
            .Where(row => row.SourceHost == host.Id || row.TargetHost == host.Id).OrderBy(row => row.Name).ToListAsync(cancellationToken))
        {
            ProtectedVm vm = ProtectionRows.ToModel(row, []);
            JobRow? job = jobs.GetValueOrDefault(row.VmId);
            vms.Add(row.SourceHost == host.Id
                ? new MaintainedVmDto(row.Name, "source", await AtSourceAsync(db, vm, job, refusals.GetValueOrDefault(row.VmId), cancellationToken), job?.Id, job is not null && JobView.Wait(job) == JobWait.Maintenance)
                : new MaintainedVmDto(row.Name, "target", AtTarget(vm), null, !ProtectionView.IsAtTarget(vm.Stage)));
        }

        return new HostMaintenanceDto(host.Name, note?.Since, note?.Until, note?.Reason, note?.By, vms);
    }

    private async Task<string> AtSourceAsync(VaultDb db, ProtectedVm vm, JobRow? job, string? refusal, CancellationToken cancellationToken)
    {
        if (job is not null)
        {
            return JobView.Wait(job) == JobWait.Maintenance ? "off; nothing is missing at the target" : $"job {job.Id}: {JobView.State(job).Word()}";
        }

        if (refusal is not null)
        {
            return $"left alone: {refusal}";
        }

        try
        {
            await desk.DecideAsync(db, vm.Vm.ToString(), VmCommand.Maintain, cancellationToken);
            return desk.RanAtSource(vm) ? "is shut down, its last change sent; started again afterwards" : "is off and stays off";
        }
        catch (ErrorException refused)
        {
            return $"is left alone: {refused.Error.Why}";
        }
    }

    private static string AtTarget(ProtectedVm vm) => ProtectionView.IsAtTarget(vm.Stage)
        ? "runs here since its failover: shut it down yourself before the host goes, or cancel the failover first"
        : "runs on at its source, which spools";
}
