using System.Text.Json;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>Follows a job until it ends or needs somebody, showing each step once it changes.</summary>
internal static class JobWatch
{
    /// <summary>What a command does with the job it started: follow it, or name it and leave.</summary>
    public static async Task<ExitCode> FollowAsync(CommandContext context, JobDto started, CancellationToken cancellationToken)
    {
        if (context.NoWait)
        {
            return context.Show(started, CommandContext.Types.JobDto, (j, o) => o.WriteLine($"job {j.Id}: {j.Name} started"));
        }

        JobDto last = await WatchAsync(context, started.Id, started, cancellationToken);
        return Conclude(context, last);
    }

    public static async Task<JobDto> WatchAsync(CommandContext context, long id, JobDto? known, CancellationToken cancellationToken)
    {
        JobDto? last = known;
        Printer printer = new(context);
        // The stream ends early when the vault restarts; the job does not. So the watch begins again until the job rests.
        while (true)
        {
            await foreach (JobDto job in context.Vault.WatchJobAsync(id, cancellationToken))
            {
                last = job;
                printer.Show(job);
                if (Rests(job))
                {
                    return job;
                }
            }

            last = await context.Vault.GetJobAsync(id, cancellationToken);
            printer.Show(last);
            if (Rests(last))
            {
                return last;
            }
        }
    }

    /// <summary>The exit code says how the job ended; a job that waits for its user has done what was asked so far.</summary>
    public static ExitCode Conclude(CommandContext context, JobDto job)
    {
        if (context.Json)
        {
            context.Io.Out.WriteLine(JsonSerializer.Serialize(job, CommandContext.Types.JobDto));
        }

        switch (job.State)
        {
            case JobState.Succeeded:
                WriteForPeople(context, $"job {job.Id}: {job.Name} succeeded in {CommandLine.Show.Seconds(job.DurationSeconds)}");
                return ExitCode.Done;
            case JobState.Waiting:
                WriteForPeople(context, $"job {job.Id}: {job.Name} is {job.Wait.Word()}"
                    + job.Wait switch
                    {
                        JobWait.TestCompletion => $": `understudy job complete {job.Id} --note \"…\"`",
                        JobWait.Action => $": the guest does not shut down. `understudy job complete {job.Id}` waits once more, "
                            + $"`--power-off --confirm \"{Confirmation.PowerOff}\"` pulls its plug, `understudy job cancel {job.Id}` leaves it running",
                        _ => "",
                    });
                return ExitCode.Done;
            default:
                if (job.Error is { } error && !context.Json)
                {
                    Commands.ShowError(error.ToError(), context.Io, json: false);
                    context.Io.Error.WriteLine($"  job {job.Id}: {job.Name} {job.State.Word()}; `understudy job show {job.Id}`");
                }

                return job.Error?.Kind.ToExitCode() ?? ExitCode.Failed;
        }
    }

    private static bool Rests(JobDto job) =>
        job.State is JobState.Succeeded or JobState.Failed or JobState.Cancelled
        || (job.State == JobState.Waiting && job.Wait is JobWait.TestCompletion or JobWait.Maintenance or JobWait.Action);

    private static void WriteForPeople(CommandContext context, string line)
    {
        if (!context.Json)
        {
            context.Io.Out.WriteLine(line);
        }
    }

    /// <summary>One line a step and state; in a terminal the running step's line is rewritten with its progress.</summary>
    private sealed class Printer(CommandContext context)
    {
        private readonly HashSet<(int Step, int Attempt, StepState State)> _shown = [];
        private bool _lineOpen;

        public void Show(JobDto job)
        {
            if (context.Json)
            {
                return;
            }

            foreach (JobStepDto step in job.Steps.Where(s => s.State is not StepState.Pending))
            {
                bool isNew = _shown.Add((step.Number, step.Attempt, step.State));
                if (step.State == StepState.Running && context.Io.Interactive)
                {
                    Rewrite($"  {step.Number}. {step.Title} … {Progress(step)}");
                }
                else if (isNew && step.State != StepState.Running)
                {
                    Close($"  {step.Number}. {step.Title}: {step.State.Word()}{Duration(step)}{(step.State == StepState.Succeeded && step.Detail is { } said ? $": {said}" : "")}");
                }
            }
        }

        private static string Progress(JobStepDto step) =>
            string.Join(' ', new[] { step.Progress is { } p ? CommandLine.Show.Percent(p) : null, step.Detail }.Where(t => !string.IsNullOrEmpty(t)));

        private static string Duration(JobStepDto step) =>
            step.DurationSeconds is { } seconds ? $" ({CommandLine.Show.Seconds(seconds)})" : "";

        private void Rewrite(string line)
        {
            context.Io.Error.Write($"\r\u001b[K{line}");
            _lineOpen = true;
        }

        private void Close(string line)
        {
            if (_lineOpen)
            {
                context.Io.Error.Write("\r\u001b[K");
                _lineOpen = false;
            }

            context.Io.Error.WriteLine(line);
        }
    }
}
