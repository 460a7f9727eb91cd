using Microsoft.EntityFrameworkCore;
using Understudy.Model;
using Understudy.Vault.Jobs;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Backup;

/// <summary>
/// Jobs of a restored vault. One that was under way when the copy was taken may have ended since, have been cancelled, or have
/// been followed by others: going on with it could undo what a person decided later. So it ends here, saying so; the hosts'
/// reports say where its VM stands. A test that waits for its user does nothing until it is completed, and stays; so does a maintenance.
/// </summary>
internal static class RestoredJobs
{
    /// <returns>Their names.</returns>
    public static async Task<IReadOnlyList<string>> EndAsync(VaultDb db, DateTimeOffset takenAt, DateTimeOffset now, CancellationToken cancellationToken)
    {
        List<JobRow> underWay = await db.Jobs.Include(row => row.Steps).Where(row => row.EndedAt == null).OrderBy(row => row.Id).ToListAsync(cancellationToken);
        List<string> ended = [];
        foreach (JobRow job in underWay.Where(job => job.Wait != JobWait.TestCompletion.Word() && job.Wait != JobWait.Maintenance.Word()))
        {
            End(job, Errors.VaultRestored(takenAt), now);
            db.Leases.RemoveRange(db.Leases.Where(lease => lease.JobId == job.Id));
            ended.Add($"job {job.Id}, {job.Name}");
        }

        db.Events.Add(new EventRow
        {
            At = now,
            Severity = HealthLevel.Warning.Word(),
            Kind = "vault-restored",
            Text = $"The vault was restored from a copy of {takenAt:yyyy-MM-dd HH:mm:ss} UTC. "
                + (ended.Count == 0 ? "No job was under way." : $"Under way then, and ended now: {string.Join("; ", ended)}."),
        });
        await db.SaveChangesAsync(cancellationToken);
        return ended;
    }

    private static void End(JobRow job, ErrorInfo why, DateTimeOffset now)
    {
        string error = VaultJson.Write(why, VaultJson.Default.ErrorInfo);
        (job.State, job.Wait, job.EndedAt, job.ErrorJson) = (JobState.Failed.Word(), JobWait.None.Word(), now, error);
        job.Revision++;
        if (job.Steps.OrderBy(step => step.Number).FirstOrDefault(step => JobView.State(step) is not StepState.Succeeded) is { } step)
        {
            (step.State, step.EndedAt, step.ErrorJson) = (StepState.Failed.Word(), now, error);
            step.StartedAt ??= now;
        }
    }
}
