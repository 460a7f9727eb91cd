using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>What people say to jobs. One that waited for it waits no more from that moment on: who looks before its next step has
/// begun is not told that it still does.</summary>
internal sealed partial class JobRunner
{
    /// <summary>The user has completed the test, the maintenance is over, or the user says what to do with a guest that does not shut down.</summary>
    /// <param name="powerOff">Pull its plug; takes the confirmation word.</param>
    public async Task CompleteAsync(JobId job, string by, string? note, bool powerOff, string? confirm, CancellationToken cancellationToken)
    {
        await jobs.ChangeAsync(job, row =>
        {
            if (row.EndedAt is not null || row.Completed
                || JobFlow.Next(JobView.Flow(row), row.CancelRequestedBy is not null, row.Completed) is not FlowAction.Wait wait)
            {
                throw new ErrorException(Errors.JobNotWaiting(job, row.Name));
            }

            if (powerOff)
            {
                GivePowerOff(row, wait, by, confirm);
            }

            if (wait.For == JobWait.Action)
            {
                StepRow step = row.Steps[wait.Index]; // again, as another operation: the first one's outcome was that the guest still runs
                (step.State, step.Attempt, step.OperationId) = (StepState.Pending.Word(), step.Attempt + 1, ids.NewGuid());
            }

            GoOn(row);
            row.Completed = wait.For is JobWait.TestCompletion or JobWait.Maintenance;
            row.Note = note ?? row.Note;
        }, cancellationToken, (db, row) => JobStore.TakeLeaseAsync(db, row, cancellationToken));
        Start(job);
    }

    public async Task CancelAsync(JobId job, string by, CancellationToken cancellationToken)
    {
        await jobs.ChangeAsync(job, row =>
        {
            string? why = row.EndedAt is not null ? "it has ended" : JobFlow.WhyNotCancellable(JobView.Flow(row));
            if (why is not null)
            {
                throw new ErrorException(Errors.JobNotCancellable(job, row.Name, why));
            }

            row.CancelRequestedBy = by;
            GoOn(row);
        }, cancellationToken, (db, row) => JobStore.TakeLeaseAsync(db, row, cancellationToken));
        lock (_lock)
        {
            _running.GetValueOrDefault(job)?.Cancel.Cancel();
        }

        Start(job); // one that waited goes on, to clean up
    }

    /// <summary>
    /// A failed or cancelled job goes on at the step that did not succeed, with a new operation id. One that was undone
    /// begins again.
    /// </summary>
    public async Task RetryAsync(JobId job, CancellationToken cancellationToken)
    {
        await jobs.ChangeAsync(job, row =>
        {
            if (JobView.State(row) is not (JobState.Failed or JobState.Cancelled))
            {
                throw new ErrorException(Errors.JobNotFailed(job, row.Name));
            }

            StepRow[] undos = [.. row.Steps.Where(step => JobFlow.IsUndo(JobView.Kind(step)))];
            bool undone = undos.Length > 0 && undos.All(step => JobView.State(step) == StepState.Succeeded);
            row.Steps.RemoveAll(undos.Contains);
            foreach (StepRow step in undone ? row.Steps : row.Steps.SkipWhile(step => JobView.State(step) == StepState.Succeeded))
            {
                step.State = StepState.Pending.Word();
                step.Attempt++;
                step.OperationId = ids.NewGuid();
                (step.StartedAt, step.EndedAt, step.Progress, step.Detail, step.ErrorJson) = (null, null, null, null, null);
            }

            if (undone)
            {
                JobView.Put(row, JobView.Input(row).Renew(ids));
            }

            (row.State, row.EndedAt, row.ErrorJson, row.CancelRequestedBy, row.Completed) = (JobState.Running.Word(), null, null, null, false);
        }, cancellationToken, async (db, row) =>
        {
            await jobEnd.RequireSameProtectionAsync(db, row, cancellationToken);
            await JobStore.TakeLeaseAsync(db, row, cancellationToken);
        });
        Start(job);
    }

    private static void GoOn(JobRow row) => (row.State, row.Wait) = (JobState.Running.Word(), JobWait.None.Word());

    private static void GivePowerOff(JobRow row, FlowAction.Wait wait, string by, string? confirm)
    {
        if (wait.For != JobWait.Action || JobView.Input(row) is not FailoverInput input)
        {
            throw new ErrorException(Errors.BadValue("powerOff", "true", "the job does not wait for a guest to shut down"));
        }

        if (confirm != Confirmation.PowerOff)
        {
            throw new ErrorException(Errors.WrongConfirmation(Confirmation.PowerOff, confirm));
        }

        JobView.Put(row, input with { PowerOffBy = by });
    }
}
