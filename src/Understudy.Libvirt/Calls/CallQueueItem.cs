using Microsoft.Extensions.Logging;

namespace Understudy.Libvirt.Calls;

internal abstract class CallQueueItem
{
    public abstract void Run();

    public abstract void Release();
}

/// <summary>
/// One call. <see cref="Run"/> is on a worker thread, <see cref="Abandon"/> on the caller's; the state decides between
/// them exactly once who disposes of the result.
/// </summary>
internal sealed class CallQueueItem<T>(string what, IDisposable? held, Func<T> call, TimeProvider time, ILogger logger) : CallQueueItem
{
    private const int Open = 0;
    private const int Ended = 1;
    private const int Abandoned = 2;

    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _state;

    public Task<T> Result => _done.Task;

    public override void Run()
    {
        if (Volatile.Read(ref _state) == Abandoned)
        {
            Release();
            return;
        }

        long start = time.GetTimestamp();
        T result;
        try
        {
            result = call();
        }
        catch (Exception reason)
        {
            Release();
            if (!TryEnd())
            {
                logger.LateFailure(reason, what, time.GetElapsedTime(start).TotalSeconds);
                return;
            }

            _done.SetException(reason);
            return;
        }

        // Before the result is published: the caller's next call must find its lane free.
        Release();
        if (!TryEnd())
        {
            logger.LateEnd(what, time.GetElapsedTime(start).TotalSeconds);
            (result as IDisposable)?.Dispose();
            return;
        }

        _done.SetResult(result);
    }

    public override void Release() => held?.Dispose();

    /// <summary>The caller does not wait any longer.</summary>
    public void Abandon()
    {
        if (Interlocked.CompareExchange(ref _state, Abandoned, Open) == Ended)
        {
            // It ended in the same moment: the result is there, or is being set by the next line of Run.
            _done.Task.ContinueWith(
                done => (done.IsCompletedSuccessfully ? done.Result as IDisposable : null)?.Dispose(),
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }
    }

    private bool TryEnd() => Interlocked.CompareExchange(ref _state, Ended, Open) == Open;
}
