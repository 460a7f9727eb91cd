using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Protection.Ports;
using Understudy.Testing;

namespace Understudy.Libvirt.Tests.Calls;

/// <summary>Hung calls are made of events that the test sets: nothing here waits for a clock longer than the limit under test.</summary>
public sealed class CallQueueTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(50);

    [Fact]
    public async Task A_result_and_a_failure_reach_the_caller()
    {
        await using CallQueue queue = NewQueue();

        Assert.Equal(5, await queue.RunAsync("answer", Long, null, () => 5, default));
        await Assert.ThrowsAsync<FormatException>(() => queue.RunAsync<int>("fail", Long, null, () => throw new FormatException(), default));
    }

    [Fact]
    public async Task A_call_that_hangs_is_given_up_but_keeps_what_it_holds_until_it_ends()
    {
        ManualTime time = new();
        CallQueue queue = new(time, NullLogger.Instance);
        using var hang = new ManualResetEventSlim();
        TaskCompletionSource began = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var held = new Ending();
        var late = new Ending();

        Task<Ending> call = queue.RunAsync(
            "begin the backup",
            Long,
            held,
            () =>
            {
                began.SetResult();
                hang.Wait();
                return late;
            },
            default);
        await began.Task;
        time.Advance(Long); // The caller waits by now: it does so before it returns its task.
        HypervisorException fault = await Assert.ThrowsAsync<HypervisorException>(() => call);

        Assert.Equal(HypervisorFault.TimedOut, fault.Fault);
        Assert.Contains("begin the backup", fault.Message, StringComparison.Ordinal);
        Assert.False(held.Task.IsCompleted);
        hang.Set();
        await held.Task;
        await late.Task; // Nobody took the result: it is disposed.

        Task ending = queue.DisposeAsync().AsTask();
        while (!ending.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(5)); // It looks again and again whether its threads have ended.
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        await ending;
    }

    [Fact]
    public async Task A_caller_that_cancels_goes_on_at_once()
    {
        await using CallQueue queue = NewQueue();
        using var hang = new ManualResetEventSlim();
        using var stop = new CancellationTokenSource();
        var held = new Ending();
        Task<bool> call = queue.RunAsync("hang", Long, held, () => hang.Wait(Long), stop.Token);

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        hang.Set();
        await held.Task;
    }

    [Fact]
    public async Task A_call_that_was_given_up_before_it_began_is_never_made()
    {
        await using CallQueue queue = NewQueue();
        using var hang = new ManualResetEventSlim();
        List<Task<bool>> busy = [.. Enumerable.Range(0, 8).Select(_ => queue.RunAsync("hang", Long, null, () => hang.Wait(Long), default))];
        bool made = false;
        var held = new Ending();
        await Assert.ThrowsAsync<HypervisorException>(() => queue.RunAsync("wait behind them", Short, held, () => made = true, default));

        hang.Set();
        await Task.WhenAll(busy);
        await held.Task;

        Assert.False(made);
    }

    [Fact]
    public async Task A_backlog_without_end_is_refused()
    {
        await using CallQueue queue = NewQueue();
        using var hang = new ManualResetEventSlim();
        List<Task<bool>> waiting = [];
        HypervisorException? refused = null;
        for (int i = 0; i < 1000 && refused is null; i++)
        {
            Task<bool> call = queue.RunAsync("hang", Long, null, () => hang.Wait(Long), default);
            if (call.IsFaulted)
            {
                refused = await Assert.ThrowsAsync<HypervisorException>(() => call);
            }
            else
            {
                waiting.Add(call);
            }
        }

        hang.Set();
        await Task.WhenAll(waiting);
        Assert.Equal(HypervisorFault.Busy, refused?.Fault);
    }

    [Fact]
    public async Task A_lane_admits_one_call_of_a_domain_and_other_domains_and_lanes_pass()
    {
        var lanes = new DomainLanes();
        var vm = new VmId(Guid.NewGuid());
        IDisposable? inside = await lanes.EnterAsync(vm, Lane.Job, default);
        Task<DomainLanes.Stay?> second = lanes.EnterAsync(vm, Lane.Job, default).AsTask();

        Assert.False(second.IsCompleted);
        Assert.NotNull(await lanes.EnterAsync(vm, Lane.Query, default));
        Assert.NotNull(await lanes.EnterAsync(new VmId(Guid.NewGuid()), Lane.Job, default));
        Assert.Null(await lanes.EnterAsync(vm, Lane.Free, default));

        inside!.Dispose();
        Assert.NotNull(await second);
    }

    private static CallQueue NewQueue() => new(TimeProvider.System, NullLogger.Instance);

    private sealed class Ending : IDisposable
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Task => _ended.Task;

        public void Dispose() => _ended.SetResult();
    }
}
