using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>What follows from a job's end for the protection it was about.</summary>
internal sealed class JobEnd(ReportBoard board, HostDuties duties, Reunions reunions, Changes changes, TimeProvider time)
{
    /// <summary>What becomes true together with the end.</summary>
    public async Task OnEndAsync(VaultDb db, JobRow job, JobState state, CancellationToken cancellationToken)
    {
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == job.VmId, cancellationToken);
        if (row is null || row.Replica != JobView.Input(job).Replica.Value)
        {
            return;
        }

        VmId vm = new(job.VmId);
        switch (JobView.Action(job), state)
        {
            case (JobAction.Protect, not JobState.Succeeded) when NothingMade(job) && JobView.Input(job) is ProtectInput input:
                JobView.Put(job, input with { Ended = row });
                EndProtection(db, row);
                break;
            case (JobAction.Unprotect, JobState.Succeeded):
                EndProtection(db, row);
                if (await db.Retired.SingleOrDefaultAsync(old => old.Replica == row.Replica, cancellationToken) is { } retired)
                {
                    retired.ReportJson = row.SourceReportJson ?? retired.ReportJson; // the source has told of its old disks meanwhile
                }

                break;
            case (JobAction.Promote, JobState.Succeeded):
                await EndTestAsync(db, job, cancellationToken);
                break;
            case (_, not JobState.Succeeded):
                row.Follow(board.Get(vm), time.GetUtcNow()); // what it did not do is left to the agents' word
                break;
        }

        duties.Post(new HostId(row.SourceHost));
        duties.Post(new HostId(row.TargetHost));
    }

    /// <summary>The VM is free again: what its sides are owed was left to the job until now.</summary>
    public void AfterEnd(JobRow job)
    {
        reunions.Post(new VmId(job.VmId));
        if (JobView.Action(job) is JobAction.Protect or JobAction.Unprotect)
        {
            changes.Publish(Changes.Protections);
        }
    }

    /// <summary>
    /// A retry is for the protection the job was made for, not for a later one of the same VM; and for the side at which the VM
    /// then was: where it stays is asked of whoever gives the command. One that ended with a job that had made nothing of it is
    /// there again, unless what it names has gone meanwhile.
    /// </summary>
    public async Task RequireSameProtectionAsync(VaultDb db, JobRow job, CancellationToken cancellationToken)
    {
        JobInput input = JobView.Input(job);
        if (input is ProtectInput { Ended: { } ended } protect && await CanBeginAgainAsync(db, ended, cancellationToken))
        {
            db.Protections.Add(ended);
            JobView.Put(job, protect with { Ended = null });
            return;
        }

        if (input is BranchInput { AtSource: true })
        {
            return; // Old disks are there with or without a protection.
        }

        ProtectionRow row = await db.Protections.SingleOrDefaultAsync(row => row.VmId == job.VmId && row.Replica == input.Replica.Value, cancellationToken)
            ?? throw new ErrorException(Errors.JobOutdated(new JobId(job.Id), job.Name, "The protection it was made for has ended."));
        // Of an earlier protection none can have come after one of this.
        List<JobRow> later = await db.Jobs.Include(other => other.Steps).Where(other => other.VmId == job.VmId && other.Id > job.Id).OrderBy(other => other.Id).ToListAsync(cancellationToken);
        if (later.LastOrDefault(other => LifeCycle.IsOvertaken(JobView.Action(job), JobView.Action(other), JobView.Flow(other))) is { } mover)
        {
            throw new ErrorException(Errors.JobOutdated(new JobId(job.Id), job.Name, $"Job {mover.Id} has begun to move the VM since."));
        }

        VmReports said = board.Get(new VmId(job.VmId));
        if (JobView.Action(job) == JobAction.Unprotect && !LifeCycle.IsStillTheEnd(JobView.Flow(job), Enum.Parse<ProtectionStage>(row.Stage), said.Source, said.Target))
        {
            throw new ErrorException(Errors.JobOutdated(new JobId(job.Id), job.Name, "The VM has changed sides since it was made."));
        }

        if (LifeCycle.WhyNotAnew(await SituationAsync(db, row, said, cancellationToken), JobView.Action(job)) is { } refusal)
        {
            throw new ErrorException(refusal);
        }
    }

    private static async Task<VmSituation> SituationAsync(VaultDb db, ProtectionRow row, VmReports said, CancellationToken cancellationToken)
    {
        VmId id = new(row.VmId);
        string target = await db.Hosts.Where(host => host.Id == row.TargetHost).Select(host => host.Name).SingleAsync(cancellationToken);
        int retired = await db.Retired.CountAsync(old => old.VmId == row.VmId, cancellationToken);
        return ProtectionRows.Situation(await db.FindProtectedAsync(id, cancellationToken), said, row.Name, target, retired);
    }

    private static async Task<bool> CanBeginAgainAsync(VaultDb db, ProtectionRow ended, CancellationToken cancellationToken) =>
        !await db.Protections.AnyAsync(row => row.VmId == ended.VmId, cancellationToken)
        && await db.Policies.AnyAsync(policy => policy.Name == ended.Policy, cancellationToken)
        && await db.Hosts.CountAsync(host => host.Id == ended.SourceHost || host.Id == ended.TargetHost, cancellationToken) == 2;

    private void EndProtection(VaultDb db, ProtectionRow row)
    {
        db.Tests.RemoveRange(db.Tests.Where(test => test.VmId == row.VmId));
        db.Rpo.RemoveRange(db.Rpo.Where(sample => sample.VmId == row.VmId));
        db.Protections.Remove(row);
        board.Forget(new VmId(row.VmId));
    }

    private static bool NothingMade(JobRow job) =>
        !job.Steps.Any(step => JobView.Kind(step) == StepKind.CreateReplica && step.StartedAt is not null);

    /// <summary>The test has become the VM: its own job has nothing left to complete or to remove.</summary>
    private async Task EndTestAsync(VaultDb db, JobRow job, CancellationToken cancellationToken)
    {
        if (JobView.Input(job) is not FailoverInput { Test: { } test }
            || await db.Tests.SingleOrDefaultAsync(row => row.Id == test.Value, cancellationToken) is not { } standing)
        {
            return;
        }

        JobRow? waiting = await db.Jobs.Include(row => row.Steps).SingleOrDefaultAsync(row => row.Id == standing.JobId && row.EndedAt == null, cancellationToken);
        db.Tests.Remove(standing);
        if (waiting is not null)
        {
            DateTimeOffset now = time.GetUtcNow();
            (waiting.State, waiting.Wait, waiting.EndedAt) = (JobState.Succeeded.Word(), JobWait.None.Word(), now);
            waiting.Revision++;
            foreach (StepRow step in waiting.Steps.Where(step => JobView.State(step) != StepState.Succeeded))
            {
                (step.State, step.EndedAt, step.Detail) = (StepState.Succeeded.Word(), now, $"became the failover of job {job.Id}");
            }
        }
    }
}
