using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>One step: begun in the database, done, and its outcome in the database.</summary>
internal sealed partial class JobRunner
{
    private const string PointUnknown = "point-unknown"; // of Errors.UnknownPoint and of the agents

    private async Task RunStepAsync(JobRow row, int index, RunningJob running, CancellationToken stopping)
    {
        JobId job = new(row.Id);
        StepRow step = row.Steps[index];
        StepKind kind = JobView.Kind(step);

        // A first copy takes hours and has nothing of the VM that another job could want.
        await jobs.ChangeAsync(job, changed => BeginStep(changed, index), stopping, kind == StepKind.FirstCopy ? LeaveLease(stopping) : null);
        StepReporter reporter = new(jobs, job, step.Number, time);
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        Task reporting = reporter.RunAsync(ended.Token);
        StepState state;
        StepResult? result = null;
        ErrorInfo? error = null;
        try
        {
            StepRun run = new(row, new OperationId(step.OperationId), agents, reporter, time, settings.HostReturnLimit);
            CancellationToken cancel = JobFlow.IsCancellable(kind) ? running.Cancel.Token : CancellationToken.None;
            result = await executor.RunAsync(kind, run, cancel, stopping);
            state = StepState.Succeeded;
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            state = StepState.Cancelled;
        }
        catch (ErrorException known)
        {
            state = StepState.Failed;
            error = Explain(known.Error, row);
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            StepBroke(logger, job, step.Title, fault);
            state = StepState.Failed;
            error = Errors.Internal(fault.Message);
        }
        finally
        {
            await ended.CancelAsync();
            await reporting;
        }

        await jobs.ChangeAsync(job, changed =>
        {
            EndStep(changed.Steps[index], state, result?.Detail, error);
            if (result is { Wait: not JobWait.None })
            {
                (changed.Steps[index].State, changed.Steps[index].EndedAt) = (StepState.Waiting.Word(), null);
            }

            if (result?.Learnt is { } learnt)
            {
                JobView.Put(changed, learnt);
            }

            changed.MadeJson = VaultJson.Write([.. JobView.Made(changed), .. result?.Made ?? []], VaultJson.Default.IReadOnlyListString);
        }, stopping);
    }

    /// <summary>An agent knows that it has no such point; only the job knows that it was there when somebody chose it.</summary>
    private static ErrorInfo Explain(ErrorInfo error, JobRow row) =>
        error.Code == PointUnknown && JobView.Input(row).Chosen is { } chosen ? Errors.PointGone(row.VmName, chosen.ToString()) : error;

    private async Task EndAsync(JobRow row, JobState state, CancellationToken stopping)
    {
        ErrorInfo? error = state == JobState.Failed
            ? JobView.Error(row.Steps.FirstOrDefault(step => JobView.State(step) == StepState.Failed)?.ErrorJson)
            : null;
        await jobs.ChangeAsync(new JobId(row.Id), changed =>
        {
            changed.State = state.Word();
            changed.Wait = JobWait.None.Word();
            changed.EndedAt = time.GetUtcNow();
            changed.ErrorJson = error is null ? null : VaultJson.Write(error, VaultJson.Default.ErrorInfo);
        }, stopping, async (db, changed) =>
        {
            await jobEnd.OnEndAsync(db, changed, state, stopping);
            await JobStore.LeaveLeaseAsync(db, changed, stopping);
        });
        jobEnd.AfterEnd(row);
        HealthLevel severity = state == JobState.Failed ? HealthLevel.Warning : HealthLevel.Normal;
        await events.AddAsync(severity, "job-ended", row.VmId, null, $"Job {row.Id}, {row.Name}: {state.Word()}{(error is null ? "." : $". {error}")}", stopping);
    }

    /// <summary>Once for each time that it begins to wait. Before it is noted that it does: said twice is better than not at all.</summary>
    private async Task TellWaitingAsync(JobRow row, FlowAction.Wait wait, CancellationToken stopping)
    {
        if (JobView.Wait(row) == wait.For)
        {
            return; // it waited before this vault was started
        }

        string job = $"Job {row.Id}, {row.Name}, waits for you";
        switch (wait.For)
        {
            case JobWait.Action:
                string detail = row.Steps[wait.Index].Detail ?? "the guest has not shut down";
                await events.AddAsync(
                    HealthLevel.Warning, "job-waiting", row.VmId, null, $"{job}: {detail} (`understudy job complete {row.Id}`, `understudy job cancel {row.Id}`).", stopping);
                break;
            case JobWait.TestCompletion:
                await events.AddAsync(
                    HealthLevel.Normal, "job-waiting", row.VmId, null, $"{job}: the test runs until it is completed (`understudy job complete {row.Id}`).", stopping);
                break;
        }
    }

    private void BeginStep(JobRow row, int index)
    {
        row.State = JobState.Running.Word();
        row.Wait = JobWait.None.Word();
        row.Steps[index].State = StepState.Running.Word();
        row.Steps[index].StartedAt ??= time.GetUtcNow();
    }

    private void EndStep(StepRow step, StepState state, string? detail, ErrorInfo? error)
    {
        DateTimeOffset now = time.GetUtcNow();
        step.State = state.Word();
        step.StartedAt ??= now;
        step.EndedAt = now;
        step.Detail = detail ?? (state == StepState.Succeeded ? null : step.Detail);
        step.Progress = state == StepState.Succeeded ? 1 : step.Progress;
        step.ErrorJson = error is null ? null : VaultJson.Write(error, VaultJson.Default.ErrorInfo);
    }

    private void Park(JobRow row, FlowAction.Wait wait)
    {
        row.State = JobState.Waiting.Word();
        row.Wait = wait.For.Word();
        row.Steps[wait.Index].State = StepState.Waiting.Word();
        row.Steps[wait.Index].StartedAt ??= time.GetUtcNow();
    }
}
