using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Understudy.Blocks;
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
    JobStore jobs, StepExecutor executor, JobEnd jobEnd, AgentRegistry agents, EventJournal events, VaultSettings settings, ILogger<JobRunner> logger)
    : IDisposable
{
    // A busy database is free again within a second; a full disk takes a person, and the log a line a minute.
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly TimeProvider time = settings.Time;
    private readonly IIdSource ids = settings.Ids;
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
                await TellWaitingAsync(row, wait, stopping);

                // A test stands for days and keeps nothing else from the VM, a maintenance must not keep a burnt host's VM from
                // being failed over; a failover in the middle has the VM all the while.
                await jobs.ChangeAsync(job, changed => Park(changed, wait), stopping, wait.For is JobWait.TestCompletion or JobWait.Maintenance ? LeaveLease(stopping) : null);
                return false;
            case FlowAction.Undo undo:
                await jobs.ChangeAsync(job, changed => changed.Steps.Add(jobs.NewStep(undo.Kind, changed.Steps.Max(step => step.Number) + 1)), stopping);
                return true;
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

    private static Func<VaultDb, JobRow, Task> LeaveLease(CancellationToken stopping) => (db, row) => JobStore.LeaveLeaseAsync(db, row, stopping);

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
