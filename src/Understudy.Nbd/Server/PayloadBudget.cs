using Understudy.Blocks;

namespace Understudy.Nbd.Server;

/// <summary>
/// Bytes of payload that one connection may hold at once. Taken by the loop that reads requests, before it reads a
/// payload or lets a read be served; given back by the workers. One waiter at most: that loop.
/// </summary>
internal sealed class PayloadBudget(long limitBytes)
{
    private readonly Lock _lock = new();
    private long _freeBytes = limitBytes;
    private long _wantedBytes;
    private TaskCompletionSource? _waiter;

    public async ValueTask TakeAsync(long bytes, CancellationToken cancellationToken)
    {
        TaskCompletionSource waiter;
        lock (_lock)
        {
            Invariant.Check(_waiter is null, "two loops wait for one payload budget");
            if (bytes <= _freeBytes)
            {
                _freeBytes -= bytes;
                return;
            }

            _wantedBytes = bytes;
            _waiter = waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
            static source => ((TaskCompletionSource)source!).TrySetCanceled(), waiter);
        await waiter.Task; // Cancelled: the connection ends, and this budget with it.
    }

    public void Give(long bytes)
    {
        TaskCompletionSource? ready = null;
        lock (_lock)
        {
            _freeBytes += bytes;
            if (_waiter is not null && _wantedBytes <= _freeBytes)
            {
                _freeBytes -= _wantedBytes;
                (ready, _waiter) = (_waiter, null);
            }
        }

        ready?.TrySetResult();
    }
}
