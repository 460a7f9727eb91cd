using Understudy.Model;

namespace Understudy.Vault.Jobs;

/// <summary>
/// Progress of a running step on its way to the database: the newest is written at most twice a second, so that a busy
/// agent costs no more than an idle one. Any thread may report; one loop writes.
/// </summary>
internal sealed class StepReporter(JobStore jobs, JobId job, int stepNumber, TimeProvider time)
{
    private static readonly TimeSpan _interval = TimeSpan.FromMilliseconds(500);

    private readonly Lock _lock = new(); // guards the fields below
    private double? _fraction;
    private string? _text;
    private JobWait _wait;
    private bool _changed;

    public void Report(double? fraction, string? text)
    {
        lock (_lock)
        {
            _changed |= _fraction != fraction || _text != text;
            _fraction = fraction;
            _text = text;
        }
    }

    public void WaitFor(string hostName)
    {
        lock (_lock)
        {
            _wait = JobWait.Host;
            _text = $"waiting for {hostName} to come back";
            _changed = true;
        }
    }

    public void WaitIsOver()
    {
        lock (_lock)
        {
            _wait = JobWait.None;
            _text = null;
            _changed = true;
        }
    }

    /// <summary>Writes until the token ends it; the runner writes the step's end after that.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using PeriodicTimer timer = new(_interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                await WriteAsync(stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The step has ended.
        }
    }

    private async Task WriteAsync(CancellationToken stop)
    {
        double? fraction;
        string? text;
        JobWait wait;
        lock (_lock)
        {
            if (!_changed)
            {
                return;
            }

            (fraction, text, wait, _changed) = (_fraction, _text, _wait, false);
        }

        await jobs.ChangeAsync(job, row =>
        {
            row.Wait = wait.Word();
            row.State = (wait == JobWait.None ? JobState.Running : JobState.Waiting).Word();
            Storage.StepRow step = row.Steps.Single(candidate => candidate.Number == stepNumber);
            step.Progress = fraction;
            step.Detail = text;
        }, stop);
    }
}
