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
internal sealed class HostMaintenance(CommandDesk desk, JobRunner runner, AgentRegistry agents, EventJournal events, Changes changes, BelievedClock believed, TimeProvider time)
{
    /// <summary>A note is read, acted on and written again by one at a time: an end that is said while a begin is under way is not lost.</summary>
    private readonly AsyncGate _noting = new();

    /// <summary>Who is concerned, and how; begins nothing.</summary>
    public async Task<HostMaintenanceDto> ShowAsync(string host, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        HostRow row = await HostStore.FindAsync(db, host, cancellationToken);
        return await DescribeAsync(db, row, cancellationToken);
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
        using AsyncGate.Pass inside = await _noting.EnterAsync(cancellationToken);
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
        await BeginJobsAsync(db, row, note, limit, cancellationToken);
        return await DescribeAsync(db, row, cancellationToken);
    }

    /// <summary>A job for each VM that has had none in this maintenance; the note says so when all have.</summary>
    private async Task BeginJobsAsync(VaultDb db, HostRow row, MaintenanceNote note, TimeSpan limit, CancellationToken cancellationToken)
    {
        Dictionary<Guid, string> leftAlone = [];
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
                FailoverInput input = new(subject.Vm.Replica, null, desk.RanAtSource(subject.Vm), limit, Maintained: new HostId(row.Id));
                await desk.StartAsync(subject, input, note.By, CancellationToken.None);
            }
            catch (ErrorException refused)
            {
                leftAlone[vm.VmId] = refused.Error.Why;
            }
        }

        row.MaintenanceJson = VaultJson.Write(note with { StillToBegin = null, LeftAlone = leftAlone }, VaultJson.Default.MaintenanceNote);
        await db.SaveChangesAsync(CancellationToken.None);
    }

    /// <summary>Over now: each VM is given back by its own job.</summary>
    public async Task<HostMaintenanceDto> EndAsync(string host, string user, CancellationToken cancellationToken)
    {
        await LookAsync(await SetOverAsync(host, cancellationToken), user, cancellationToken);
        return await ShowAsync(host, cancellationToken);
    }

    private async Task<Guid> SetOverAsync(string host, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _noting.EnterAsync(cancellationToken);
        await using VaultDb db = desk.Open();
        HostRow row = await HostStore.FindAsync(db, host, cancellationToken);
        MaintenanceNote note = NoteOf(row) ?? throw new ErrorException(Errors.NotInMaintenance(row.Name));
        row.MaintenanceJson = VaultJson.Write(note with { Until = time.GetUtcNow(), Ended = true }, VaultJson.Default.MaintenanceNote);
        await db.SaveChangesAsync(cancellationToken);
        return row.Id;
    }

    /// <summary>
    /// Ends a maintenance that is over, once the host and its libvirt are there to take its VMs back: however long that is. Its note goes when
    /// every job has been told, so what could not be told now is told later. One that a vault left half begun goes on here.
    /// </summary>
    public async Task LookAsync(Guid host, string by, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _noting.EnterAsync(cancellationToken);
        await using VaultDb db = desk.Open();
        HostRow? row = await db.Hosts.AsTracking().SingleOrDefaultAsync(candidate => candidate.Id == host, cancellationToken);
        if (row is null || NoteOf(row) is not { } note || agents.Find(new HostId(host)) is null || HostStore.FactsOf(row) is not { HypervisorError: null } facts)
        {
            return;
        }

        if (!note.IsOver(believed.Now(), facts.Boot))
        {
            if (note.StillToBegin is { } limit)
            {
                await BeginJobsAsync(db, row, note, limit, cancellationToken);
            }

            return;
        }

        bool told = true;
        foreach (JobRow job in (await JobsOfAsync(db, host, cancellationToken)).Where(job => job is { Completed: false, CancelRequestedBy: null }))
        {
            told &= await TellAsync(job, by, cancellationToken); // one that is busy keeps no other from being given back
        }

        if (!told)
        {
            return;
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

    /// <summary>Those that stand. By what each was made for: its VM may be off the host's list meanwhile, on another's too, or not protected any more.</summary>
    private static async Task<IReadOnlyList<JobRow>> JobsOfAsync(VaultDb db, Guid host, CancellationToken cancellationToken)
    {
        string action = JobAction.Maintenance.Word();
        List<JobRow> standing = await db.Jobs.AsNoTracking().Include(job => job.Steps)
            .Where(job => job.EndedAt == null && job.Action == action).OrderBy(job => job.Id).ToListAsync(cancellationToken);
        return [.. standing.Where(job => JobView.Input(job) is FailoverInput { Maintained: { } maintained } && maintained.Value == host)];
    }

    private async Task<HostMaintenanceDto> DescribeAsync(VaultDb db, HostRow host, CancellationToken cancellationToken)
    {
        MaintenanceNote? note = NoteOf(host);
        IReadOnlyList<JobRow> jobs = await JobsOfAsync(db, host.Id, cancellationToken);
        List<MaintainedVmDto> vms = [];
        foreach (ProtectionRow row in await db.Protections.AsNoTracking()
            .Where(row => row.SourceHost == host.Id || row.TargetHost == host.Id).OrderBy(row => row.Name).ToListAsync(cancellationToken))
        {
            ProtectedVm vm = ProtectionRows.ToModel(row, []);
            JobRow? job = jobs.LastOrDefault(job => job.VmId == row.VmId);
            vms.Add(row.SourceHost == host.Id
                ? new MaintainedVmDto(row.Name, "source", await AtSourceAsync(db, vm, job, note, cancellationToken), job?.Id, job is not null && JobView.Wait(job) == JobWait.Maintenance)
                : new MaintainedVmDto(row.Name, "target", AtTarget(vm), null, !ProtectionView.IsAtTarget(vm.Stage)));
        }

        return new HostMaintenanceDto(host.Name, note?.Since, note?.Until, note?.Reason, note?.By, vms);
    }

    private async Task<string> AtSourceAsync(VaultDb db, ProtectedVm vm, JobRow? job, MaintenanceNote? note, CancellationToken cancellationToken)
    {
        if (job is not null)
        {
            bool isWhole = job.Steps.Any(step => JobView.Kind(step) == StepKind.SendLastChange && JobView.State(step) == StepState.Succeeded);
            return JobView.Wait(job) != JobWait.Maintenance ? $"job {job.Id}: {JobView.State(job).Word()}"
                : isWhole ? "off; nothing is missing at the target"
                : "off; what it wrote last is sent when replication goes on";
        }

        if (note is { StillToBegin: null })
        {
            return await AfterBeginAsync(db, vm.Vm.Value, note, cancellationToken);
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

    /// <summary>Of a VM without a job in a maintenance that has begun nothing will come by itself any more: what came is said.</summary>
    private static async Task<string> AfterBeginAsync(VaultDb db, Guid vm, MaintenanceNote note, CancellationToken cancellationToken)
    {
        string action = JobAction.Maintenance.Word();
        JobRow? ended = await db.Jobs.AsNoTracking().OrderBy(job => job.Id)
            .LastOrDefaultAsync(job => job.VmId == vm && job.Action == action && job.CreatedAt >= note.Since, cancellationToken);
        return ended is null
            ? $"left alone: {note.LeftAlone?.GetValueOrDefault(vm) ?? "it was not protected when the maintenance began"}"
            : $"job {ended.Id}: {JobView.State(ended).Word()}{(JobView.Error(ended.ErrorJson) is { } error ? $". {error.What}" : "")}";
    }

    private static string AtTarget(ProtectedVm vm) => ProtectionView.IsAtTarget(vm.Stage)
        ? "runs here since its failover: shut it down yourself before the host goes, or cancel the failover first"
        : "runs on at its source, which spools";
}
