using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>
/// Carries jobs out: <see cref="JobFlow"/> says what is next, <see cref="StepExecutor"/> does it, and every outcome is in
/// the database before the next step. A vault that stops leaves its jobs where they are; the next one goes on at the same
/// step with the same operation id, so no step is done twice. One task a job, owned here and awaited at the stop.
/// </summary>
internal sealed partial class JobRunner(
    JobStore jobs, StepExecutor executor, AgentRegistry agents, EventJournal events, IIdSource ids, TimeProvider time, VaultSettings settings, ILogger<JobRunner> logger)
    : IDisposable
{
    // A busy database is free again within a second; a full disk takes a person, and the log a line a minute.
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new(); // guards _running
    private readonly Dictionary<JobId, RunningJob> _running = [];
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Takes up what an earlier run of the vault left.</summary>
    public async Task ResumeAsync(CancellationToken cancellationToken)
    {
        foreach (JobId job in await jobs.ListUnfinishedAsync(cancellationToken))
        {
            Resumed(logger, job);
            Start(job);
        }
    }

    /// <summary>Runs the job until it ends or waits for somebody. One that runs already looks once more before it stops.</summary>
    public void Start(JobId job)
    {
        lock (_lock)
        {
            if (_running.TryGetValue(job, out RunningJob? present))
            {
                present.LookAgain = true;
                return;
            }

            RunningJob running = new();
            _running[job] = running;
            running.Task = RunAsync(job, running);
        }
    }

    /// <summary>The user has completed the test that the job waits with.</summary>
    public async Task CompleteAsync(JobId job, string? note, CancellationToken cancellationToken)
    {
        await jobs.ChangeAsync(job, row =>
        {
            if (row.EndedAt is not null || row.Completed || JobFlow.Next(JobView.Flow(row), row.CancelRequestedBy is not null, row.Completed) is not FlowAction.Wait)
            {
                throw new ErrorException(Errors.JobNotWaiting(job, row.Name));
            }

            row.Completed = true;
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
        }, cancellationToken, (db, row) => JobStore.TakeLeaseAsync(db, row, cancellationToken));
        lock (_lock)
        {
            _running.GetValueOrDefault(job)?.Cancel.Cancel();
        }

        Start(job); // one that waited goes on, to clean up
    }

    /// <summary>A failed or cancelled job goes on at the step that did not succeed, with a new operation id.</summary>
    public async Task RetryAsync(JobId job, CancellationToken cancellationToken)
    {
        await jobs.ChangeAsync(job, row =>
        {
            if (JobView.State(row) is not (JobState.Failed or JobState.Cancelled))
            {
                throw new ErrorException(Errors.JobNotFailed(job, row.Name));
            }

            foreach (StepRow step in row.Steps.SkipWhile(step => JobView.State(step) == StepState.Succeeded))
            {
                step.State = StepState.Pending.Word();
                step.Attempt++;
                step.OperationId = ids.NewGuid();
                (step.StartedAt, step.EndedAt, step.Progress, step.Detail, step.ErrorJson) = (null, null, null, null, null);
            }

            (row.State, row.EndedAt, row.ErrorJson, row.CancelRequestedBy, row.Completed) = (JobState.Running.Word(), null, null, null, false);
        }, cancellationToken, async (db, row) =>
        {
            await StepExecutor.RequireSameProtectionAsync(db, row, cancellationToken);
            await JobStore.TakeLeaseAsync(db, row, cancellationToken);
        });
        Start(job);
    }

    /// <summary>Stops where the jobs are; they go on when the vault starts again.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync();
        Task[] running;
        lock (_lock)
        {
            running = [.. _running.Values.Select(job => job.Task)];
        }

        await Task.WhenAll(running);
    }

    public void Dispose() => _stopping.Dispose();

    private async Task RunAsync(JobId job, RunningJob running)
    {
        await Task.Yield(); // the caller goes on; this task is kept in _running
        try
        {
            do
            {
                await AdvanceAsync(job, running);
            }
            while (!IsOver(job, running));
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            Left(logger, job);
        }
        finally
        {
            lock (_lock)
            {
                if (_running.GetValueOrDefault(job) == running)
                {
                    _running.Remove(job);
                }

                running.Cancel.Dispose();
            }
        }
    }

    /// <summary>
    /// Until there is nothing more to do now. What fails here is not a step but what is around it, the database most
    /// likely (busy, or its disk full for a moment): the job stands in it as it was, so the next turn goes on from there.
    /// It never gives up before the vault stops, because a job without a task would keep its VM's lease.
    /// </summary>
    private async Task AdvanceAsync(JobId job, RunningJob running)
    {
        TimeSpan pause = FirstPause;
        while (true)
        {
            try
            {
                while (await DoNextAsync(job, running))
                {
                    pause = FirstPause; // each turn leaves the job in a state from which any later vault can go on
                }

                return;
            }
            catch (Exception fault) when (!_stopping.IsCancellationRequested)
            {
                Broke(logger, job, pause.TotalSeconds, fault);
            }
            catch (Exception fault) when (fault is not OperationCanceledException)
            {
                BrokeAtStop(logger, job, fault);
                return;
            }

            await Task.Delay(pause, time, _stopping.Token);
            pause = pause * 2 > LongestPause ? LongestPause : pause * 2;
        }
    }

    /// <summary>False when somebody asked for the job while it was stopping.</summary>
    private bool IsOver(JobId job, RunningJob running)
    {
        lock (_lock)
        {
            if (running.LookAgain)
            {
                running.LookAgain = false;
                return false;
            }

            _running.Remove(job);
            return true;
        }
    }

    /// <returns>False when there is nothing more to do now.</returns>
    private async Task<bool> DoNextAsync(JobId job, RunningJob running)
    {
        CancellationToken stopping = _stopping.Token;
        RenewCancel(running);
        JobRow row = await jobs.GetAsync(job, stopping);
        if (row.EndedAt is not null)
        {
            return false; // ended once is enough: another end would tell and undo things twice
        }

        switch (JobFlow.Next(JobView.Flow(row), row.CancelRequestedBy is not null, row.Completed))
        {
            case FlowAction.Run run:
                await RunStepAsync(row, run.Index, running, stopping);
                return true;
            case FlowAction.Pass pass:
                await jobs.ChangeAsync(job, changed => EndStep(changed.Steps[pass.Index], pass.As, null, null), stopping);
                return true;
            case FlowAction.Wait wait:
                await jobs.ChangeAsync(job, changed => Park(changed, wait), stopping, (db, changed) => JobStore.LeaveLeaseAsync(db, changed, stopping));
                return false;
            case FlowAction.End end:
                await EndAsync(row, end.As, stopping);
                return false;
            default:
                throw new UnreachableException("flow action");
        }
    }

    /// <summary>
    /// A cancel is in the row before it is in the token. So what the token knew the row read next knows, unless a retry has
    /// taken it back; and a cancel that comes after this hits the fresh token.
    /// </summary>
    private void RenewCancel(RunningJob running)
    {
        lock (_lock)
        {
            if (running.Cancel.IsCancellationRequested)
            {
                running.Cancel.Dispose(); // no step runs now: nobody else has its token
                running.Cancel = new CancellationTokenSource();
            }
        }
    }

    private async Task RunStepAsync(JobRow row, int index, RunningJob running, CancellationToken stopping)
    {
        JobId job = new(row.Id);
        StepRow step = row.Steps[index];
        await jobs.ChangeAsync(job, changed => BeginStep(changed, index), stopping);
        StepReporter reporter = new(jobs, job, step.Number, time);
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        Task reporting = reporter.RunAsync(ended.Token);
        StepState state;
        StepResult? result = null;
        ErrorInfo? error = null;
        try
        {
            StepRun run = new(job, new VmId(row.VmId), row.VmName, row.Note, JobView.Input(row), new OperationId(step.OperationId), agents, reporter, time, settings.HostReturnLimit);
            CancellationToken cancel = JobFlow.IsCancellable(JobView.Kind(step)) ? running.Cancel.Token : CancellationToken.None;
            result = await executor.RunAsync(JobView.Kind(step), run, cancel, stopping);
            state = StepState.Succeeded;
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            state = StepState.Cancelled;
        }
        catch (ErrorException known)
        {
            state = StepState.Failed;
            error = known.Error;
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
            changed.MadeJson = VaultJson.Write([.. JobView.Made(changed), .. result?.Made ?? []], VaultJson.Default.IReadOnlyListString);
        }, stopping);
    }

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
            await executor.OnEndAsync(db, changed, state, stopping);
            await JobStore.LeaveLeaseAsync(db, changed, stopping);
        });
        HealthLevel severity = state == JobState.Failed ? HealthLevel.Warning : HealthLevel.Normal;
        await events.AddAsync(severity, "job-ended", row.VmId, null, $"Job {row.Id}, {row.Name}: {state.Word()}{(error is null ? "." : $". {error}")}", stopping);
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

    private sealed class RunningJob
    {
        public CancellationTokenSource Cancel { get; set; } = new(); // guarded by _lock; replaced between steps only

        public Task Task { get; set; } = Task.CompletedTask;

        public bool LookAgain { get; set; }
    }

    [LoggerMessage(300, LogLevel.Information, "Job {Job} goes on where it was")]
    private static partial void Resumed(ILogger logger, JobId job);

    [LoggerMessage(301, LogLevel.Information, "Job {Job} is left where it is: the vault stops")]
    private static partial void Left(ILogger logger, JobId job);

    [LoggerMessage(302, LogLevel.Error, "Job {Job} cannot go on; next try in {Seconds:0.0} s")]
    private static partial void Broke(ILogger logger, JobId job, double seconds, Exception fault);

    [LoggerMessage(303, LogLevel.Error, "Job {Job}, step {Step}, failed unexpectedly")]
    private static partial void StepBroke(ILogger logger, JobId job, string step, Exception fault);

    [LoggerMessage(304, LogLevel.Error, "Job {Job} met a failure while the vault stopped; the next start goes on where it was")]
    private static partial void BrokeAtStop(ILogger logger, JobId job, Exception fault);
}
