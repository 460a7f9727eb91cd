using Understudy.Blocks;

namespace Understudy.Protection.Source;

/// <summary>
/// How many VMs of a host may be captured at once: each costs scratch space, disk bandwidth and a little of the guest's
/// speed. First come, first served; one VM never has two captures because its engine is one loop. Shared by all engines
/// of a host.
/// </summary>
public sealed class CaptureLimiter
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource> _waiters = new();
    private int _free;

    public CaptureLimiter(int concurrentCaptures)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(concurrentCaptures);
        _free = concurrentCaptures;
    }

    public async ValueTask<Pass> EnterAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        LinkedListNode<TaskCompletionSource> mine;
        lock (_lock)
        {
            if (_free > 0)
            {
                _free--;
                return new Pass(this);
            }

            mine = _waiters.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        using CancellationTokenRegistration registration = cancellationToken.Register(() => Cancel(mine, cancellationToken));
        await mine.Value.Task;
        return new Pass(this);
    }

    private void Cancel(LinkedListNode<TaskCompletionSource> waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (waiter.List is null)
            {
                return; // The place was handed over first: the waiter owns it and will leave it.
            }

            _waiters.Remove(waiter);
        }

        waiter.Value.TrySetCanceled(cancellationToken);
    }

    private void Leave()
    {
        TaskCompletionSource next;
        lock (_lock)
        {
            if (_waiters.First is not { } first)
            {
                _free++;
                return;
            }

            _waiters.RemoveFirst();
            next = first.Value;
        }

        next.SetResult();
    }

    /// <summary>A place; leaving twice is a bug that <see cref="Invariant"/> catches.</summary>
    public sealed class Pass : IDisposable
    {
        private CaptureLimiter? _limiter;

        internal Pass(CaptureLimiter limiter) => _limiter = limiter;

        public void Dispose()
        {
            Invariant.Check(_limiter is not null, "a capture's place was left twice");
            CaptureLimiter? limiter = _limiter;
            _limiter = null;
            limiter?.Leave();
        }
    }
}
