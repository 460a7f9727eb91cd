using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class JobCommands
{
    private static readonly Argument<long> _job = new("job") { Description = "Number of the job" };
    private static readonly Option<int> _limit = new("--limit") { Description = "How many of the newest", DefaultValueFactory = _ => 50 };
    private static readonly Option<string?> _note = new("--note") { Description = "What was seen; kept with the job" };
    private static readonly Option<bool> _powerOff = new("--power-off") { Description = "Pull the plug of a guest that does not shut down; what it had not written yet is lost" };
    private static readonly Option<string?> _confirm = new("--confirm") { Description = "The confirmation word (POWER OFF)" };
    private static readonly Option<string?> _timeout = new("--timeout") { Description = "Give up waiting after so long (the job goes on)" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "job",
        "What is being done and what was done",
        make.Verb("list", "List jobs, newest first", async (c, ct) => c.Show(
            await c.Vault.ListJobsAsync(c.Get(_limit), ct), CommandContext.Types.IReadOnlyListJobDto, List), _limit),
        make.Verb("show", "Show a job with its steps", async (c, ct) => c.Show(
            await c.Vault.GetJobAsync(c.Get(_job), ct), CommandContext.Types.JobDto, One), _job),
        make.Verb("watch", "Follow a job and show its progress", WaitAsync, _job),
        make.Verb("wait", "Wait until a job ends or needs somebody", WaitAsync, _job, _timeout),
        make.Verb("complete", "Complete a test: remove all it made. For a guest that does not shut down: wait once more, or power it off", CompleteAsync, _job, _note, _powerOff, _confirm),
        make.Verb("cancel", "Cancel a job where that leaves things whole", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.CancelJobAsync(c.Get(_job), ct), ct), _job),
        make.Verb("retry", "Retry a failed job from the step that failed", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.RetryJobAsync(c.Get(_job), ct), ct), _job));

    private static async Task<ExitCode> WaitAsync(CommandContext c, CancellationToken ct)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        string? timeout = c.Get(_timeout);
        if (timeout is not null)
        {
            limit.CancelAfter(Durations.TryParse(timeout, out TimeSpan wait) && wait > TimeSpan.Zero
                ? wait
                : throw new ErrorException(Errors.BadDuration("timeout", timeout)));
        }

        try
        {
            return JobWatch.Conclude(c, await JobWatch.WatchAsync(c, c.Get(_job), known: null, limit.Token));
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            c.Io.Error.WriteLine($"understudy: job {c.Get(_job)} has not ended within {timeout}; it goes on");
            return ExitCode.TimedOut;
        }
    }

    private static async Task<ExitCode> CompleteAsync(CommandContext c, CancellationToken ct)
    {
        bool powerOff = c.Get(_powerOff);
        string? word = c.Get(_confirm) ?? (powerOff ? await Asking.WordAsync(c, Confirmation.PowerOff, "pull the guest's plug", ct) : null);
        JobDto job = await c.Vault.CompleteJobAsync(c.Get(_job), new JobCompleteDto(c.Get(_note), powerOff, word), ct);
        return await JobWatch.FollowAsync(c, job, ct);
    }

    private static void List(IReadOnlyList<JobDto> jobs, TextWriter output)
    {
        Table table = new("job", "name", "state", "started", "took");
        foreach (JobDto job in jobs)
        {
            string state = job.Wait == JobWait.None ? job.State.Word() : job.Wait.Word();
            table.Row($"{job.Id}", job.Name, state, Show.Time(job.CreatedAt), Show.Seconds(job.DurationSeconds));
        }

        table.WriteTo(output);
    }

    private static void One(JobDto job, TextWriter output)
    {
        Show.Facts(
            output,
            ("job", $"{job.Id}"),
            ("name", job.Name),
            ("state", job.Wait == JobWait.None ? job.State.Word() : $"{job.State.Word()}, {job.Wait.Word()}"),
            ("asked for by", job.RequestedBy),
            ("started", Show.Time(job.CreatedAt)),
            ("took", Show.Seconds(job.DurationSeconds)),
            ("made", job.Made.Count == 0 ? null : string.Join("; ", job.Made)),
            ("note", job.Note));
        output.WriteLine();
        Table table = new("step", "", "state", "progress", "took", "detail");
        foreach (JobStepDto step in job.Steps)
        {
            table.Row($"{step.Number}", step.Title, step.State.Word(), step.Progress is { } p ? Show.Percent(p) : null,
                Show.Seconds(step.DurationSeconds), step.Error is { } e ? $"{e.What}. {e.Why} {e.Next}" : step.Detail);
        }

        table.WriteTo(output);
        if (job.Error is { } error)
        {
            output.WriteLine();
            output.WriteLine($"{error.What}. {error.Why}");
            output.WriteLine($"  {error.Next} ({error.Code})");
        }
    }
}
