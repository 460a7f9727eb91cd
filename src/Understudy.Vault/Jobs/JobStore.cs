using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

internal sealed record NewJob(VmId Vm, string VmName, JobAction Action, IReadOnlyList<StepKind> Steps, JobInput Input, string RequestedBy);

/// <summary>
/// Jobs and their history. Changes to jobs go one after another through one gate, so a step's end, a cancel and a
/// completion never overwrite each other. A VM's lease is a row whose primary key is the VM: who has it has the VM.
/// </summary>
internal sealed class JobStore(VaultStorage storage, Changes changes, IIdSource ids, TimeProvider time)
{
    public const int MaxPage = 500;

    private readonly AsyncGate _writing = new();

    /// <param name="along">Further changes that become true together with the job.</param>
    /// <exception cref="ErrorException">The VM is in another job.</exception>
    public async Task<JobId> CreateAsync(NewJob job, Func<VaultDb, JobId, Task>? along, CancellationToken cancellationToken)
    {
        using (await _writing.EnterAsync(cancellationToken))
        {
            await using VaultDb db = storage.Open();
            await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
            if (NeedsLease(job.Action))
            {
                await RequireFreeAsync(db, job.Vm.Value, job.VmName, cancellationToken);
            }

            JobRow row = new()
            {
                Name = $"{job.VmName} ({job.Action.Word()})",
                Action = job.Action.Word(),
                VmId = job.Vm.Value,
                VmName = job.VmName,
                State = JobState.Running.Word(),
                Wait = JobWait.None.Word(),
                RequestedBy = job.RequestedBy,
                CreatedAt = time.GetUtcNow(),
                InputJson = VaultJson.Write(job.Input, VaultJson.Default.JobInput),
                MadeJson = "[]",
                Revision = 1,
                Steps = [.. job.Steps.Select((kind, index) => NewStep(kind, index + 1))],
            };
            db.Jobs.Add(row);
            await db.SaveChangesAsync(cancellationToken);
            if (NeedsLease(job.Action))
            {
                db.Leases.Add(new LeaseRow { VmId = job.Vm.Value, JobId = row.Id });
            }

            if (along is not null)
            {
                await along(db, new JobId(row.Id));
            }

            await db.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return new JobId(row.Id);
        }
    }

    public StepRow NewStep(StepKind kind, int number) => new()
    {
        Number = number,
        Kind = kind.ToString(),
        Title = StepTitles.Of(kind),
        State = StepState.Pending.Word(),
        Attempt = 1,
        OperationId = ids.NewGuid(),
    };

    public async Task<JobRow> GetAsync(JobId job, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return await FindAsync(db.Jobs.AsNoTracking(), job, cancellationToken);
    }

    public async Task<IReadOnlyList<JobDto>> ListAsync(int limit, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        List<JobRow> rows = await db.Jobs.AsNoTracking().Include(row => row.Steps)
            .OrderByDescending(row => row.Id)
            .Take(Math.Clamp(limit, 1, MaxPage))
            .ToListAsync(cancellationToken);
        return [.. rows.Select(row => JobView.ToDto(row, time.GetUtcNow()))];
    }

    public async Task<IReadOnlyList<JobId>> ListUnfinishedAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return [.. (await db.Jobs.Where(row => row.EndedAt == null).OrderBy(row => row.Id).Select(row => row.Id).ToListAsync(cancellationToken)).Select(id => new JobId(id))];
    }

    /// <summary>The job that has the VM; null when it is free.</summary>
    public async Task<long?> FindHolderAsync(VmId vm, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return await db.Leases.Where(row => row.VmId == vm.Value).Select(row => (long?)row.JobId).SingleOrDefaultAsync(cancellationToken);
    }

    /// <summary>Reads, changes and writes one job, and tells the watchers.</summary>
    /// <param name="along">Further changes that become true together with it.</param>
    public async Task<JobRow> ChangeAsync(JobId job, Action<JobRow> change, CancellationToken cancellationToken, Func<VaultDb, JobRow, Task>? along = null)
    {
        using (await _writing.EnterAsync(cancellationToken))
        {
            await using VaultDb db = storage.Open();
            await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
            JobRow row = await FindAsync(db.Jobs, job, cancellationToken);
            change(row);
            row.Revision++;
            if (along is not null)
            {
                await along(db, row);
            }

            await db.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            foreach (var touched in db.ChangeTracker.Entries<JobRow>()) // the change along may have ended another one
            {
                changes.Publish(Changes.Job(touched.Entity.Id));
            }

            changes.Publish(Changes.Vm(row.VmId));
            return row;
        }
    }

    /// <summary>Takes the VM for a job that goes on; the job may have it already.</summary>
    public static async Task TakeLeaseAsync(VaultDb db, JobRow job, CancellationToken cancellationToken)
    {
        if (!NeedsLease(JobView.Action(job)))
        {
            return;
        }

        LeaseRow? lease = await db.Leases.SingleOrDefaultAsync(row => row.VmId == job.VmId, cancellationToken);
        if (lease is null)
        {
            db.Leases.Add(new LeaseRow { VmId = job.VmId, JobId = job.Id });
        }
        else if (lease.JobId != job.Id)
        {
            await RequireFreeAsync(db, job.VmId, job.VmName, cancellationToken);
        }
    }

    public static Task LeaveLeaseAsync(VaultDb db, JobRow job, CancellationToken cancellationToken) =>
        db.Leases.Where(row => row.VmId == job.VmId && row.JobId == job.Id).ExecuteDeleteAsync(cancellationToken);

    /// <summary>Settings are sent whole, the newest win, and they reach a VM in every state: there is nothing to keep apart.</summary>
    private static bool NeedsLease(JobAction action) => action != JobAction.Set;

    private static async Task RequireFreeAsync(VaultDb db, Guid vm, string vmName, CancellationToken cancellationToken)
    {
        var holder = await db.Leases.Where(row => row.VmId == vm)
            .Join(db.Jobs, lease => lease.JobId, job => job.Id, (_, job) => new { job.Id, job.Name })
            .SingleOrDefaultAsync(cancellationToken);
        if (holder is not null)
        {
            throw new ErrorException(Errors.VmBusy(vmName, new JobId(holder.Id), holder.Name));
        }
    }

    private static async Task<JobRow> FindAsync(IQueryable<JobRow> jobs, JobId job, CancellationToken cancellationToken) =>
        await jobs.Include(row => row.Steps.OrderBy(step => step.Number)).SingleOrDefaultAsync(row => row.Id == job.Value, cancellationToken)
        ?? throw new ErrorException(Errors.UnknownJob(job.ToString()));
}
