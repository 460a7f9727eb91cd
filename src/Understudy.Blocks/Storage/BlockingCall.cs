namespace Understudy.Blocks.Storage;

/// <summary>
/// Runs a system call that may block for long (fdatasync, fallocate) on a thread of the pool, so that callers of several
/// files wait for all of them at once. Only for real files; the simulation brings its own store and never comes here.
/// </summary>
internal sealed class BlockingCall : IThreadPoolWorkItem
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Action _call;

    private BlockingCall(Action call) => _call = call;

    public static Task RunAsync(Action call)
    {
        BlockingCall item = new(call);
        ThreadPool.UnsafeQueueUserWorkItem(item, preferLocal: false);
        return item._done.Task;
    }

    void IThreadPoolWorkItem.Execute()
    {
        try
        {
            _call();
            _done.SetResult();
        }
        catch (Exception exception)
        {
            _done.SetException(exception); // Carried to the awaiter, whoever that is.
        }
    }
}
