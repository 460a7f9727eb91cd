using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Events;
using Understudy.Vault.Jobs;
using Understudy.Vault.Security;

namespace Understudy.Vault.Rest;

/// <summary>Jobs and events, read once or watched (server-sent events).</summary>
internal static class JobRoutes
{
    private const int DefaultPage = 100;

    public static void Map(RouteGroupBuilder api)
    {
        api.MapGet("/jobs", (int? limit, JobStore jobs, CancellationToken ct) => jobs.ListAsync(limit ?? DefaultPage, ct))
            .WithName("listJobs").WithSummary("Jobs, newest first");
        api.MapGet("/jobs/{job:long}", async (long job, JobStore jobs, TimeProvider time, CancellationToken ct) => await ReadAsync(job, jobs, time, ct))
            .WithName("getJob").WithSummary("One job with its steps");
        api.MapGet("/jobs/{job:long}/watch", async (long job, JobStore jobs, Changes changes, TimeProvider time, IHostApplicationLifetime lifetime, CancellationToken ct) =>
            {
                JobDto first = await ReadAsync(job, jobs, time, ct); // an unknown job is a problem, not an empty stream
                return TypedResults.ServerSentEvents(WatchJobAsync(first, jobs, changes, time, lifetime.ApplicationStopping, ct));
            })
            .WithName("watchJob").WithSummary("Each new state of the job, until it has ended");
        api.MapPost("/jobs/{job:long}/complete", async (long job, JobCompleteDto body, ClaimsPrincipal user, JobRunner runner, JobStore jobs, TimeProvider time, CancellationToken ct) =>
            {
                await runner.CompleteAsync(new JobId(job), user.UserName(), body.Note, body.PowerOff, body.Confirm, ct);
                return await ReadAsync(job, jobs, time, ct);
            })
            .WithName("completeJob").WithSummary("Completes the test the job waits with, or says what to do with a guest that does not shut down; POWER OFF takes its word");
        api.MapPost("/jobs/{job:long}/cancel", async (long job, ClaimsPrincipal user, JobRunner runner, JobStore jobs, TimeProvider time, CancellationToken ct) =>
            {
                await runner.CancelAsync(new JobId(job), user.UserName(), ct);
                return await ReadAsync(job, jobs, time, ct);
            })
            .WithName("cancelJob").WithSummary("Cancels the job where that leaves things whole");
        api.MapPost("/jobs/{job:long}/retry", async (long job, JobRunner runner, JobStore jobs, TimeProvider time, CancellationToken ct) =>
            {
                await runner.RetryAsync(new JobId(job), ct);
                return await ReadAsync(job, jobs, time, ct);
            })
            .WithName("retryJob").WithSummary("Goes on with a failed or cancelled job at the step that did not succeed");
        api.MapGet("/events", (long? after, int? limit, EventJournal events, CancellationToken ct) => events.ListAsync(after, limit ?? DefaultPage, ct))
            .WithName("listEvents").WithSummary("The newest events, or those after the given one; oldest first");
        api.MapGet("/events/watch", (long? after, EventJournal events, Changes changes, IHostApplicationLifetime lifetime, CancellationToken ct) =>
                TypedResults.ServerSentEvents(WatchEventsAsync(after ?? 0, events, changes, lifetime.ApplicationStopping, ct)))
            .WithName("watchEvents").WithSummary("Events after the given one, then each as it happens");
    }

    private static async Task<JobDto> ReadAsync(long job, JobStore jobs, TimeProvider time, CancellationToken ct) =>
        JobView.ToDto(await jobs.GetAsync(new JobId(job), ct), time.GetUtcNow());

    private static async IAsyncEnumerable<SseItem<JobDto>> WatchJobAsync(
        JobDto first, JobStore jobs, Changes changes, TimeProvider time, CancellationToken stopping, [EnumeratorCancellation] CancellationToken ct)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
        long seen = -1;
        while (true)
        {
            Task change = changes.Next(Changes.Job(first.Id));
            JobDto job = await ReadAsync(first.Id, jobs, time, ct);
            if (job.Revision != seen)
            {
                seen = job.Revision;
                yield return new SseItem<JobDto>(job);
            }

            if (job.EndedAt is not null)
            {
                yield break;
            }

            await change.WaitAsync(either.Token);
        }
    }

    private static async IAsyncEnumerable<SseItem<EventDto>> WatchEventsAsync(
        long after, EventJournal events, Changes changes, CancellationToken stopping, [EnumeratorCancellation] CancellationToken ct)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
        while (true)
        {
            Task change = changes.Next(Changes.Events);
            IReadOnlyList<EventDto> page = await events.ListAsync(after, EventJournal.MaxPage, ct);
            foreach (EventDto news in page)
            {
                after = news.Id;
                yield return new SseItem<EventDto>(news);
            }

            if (page.Count == 0)
            {
                await change.WaitAsync(either.Token);
            }
        }
    }
}
