namespace Understudy.Blocks;

/// <summary>
/// A first-come-first-served asynchronous mutex whose waiters go on where they were started (their
/// SynchronizationContext), so that the simulation owns the order. SemaphoreSlim hands its waiters to the thread pool.
/// </summary>
public sealed class AsyncGate
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource> _waiters = new();
    private bool _taken;

    /// <summary>Waits for the gate; dispose the result to leave it. Cancellation leaves the gate as it was.</summary>
    public async ValueTask<Pass> EnterAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        LinkedListNode<TaskCompletionSource> mine;
        lock (_lock)
        {
            if (!_taken)
            {
                _taken = true;
                return new Pass(this);
            }

            mine = _waiters.AddLast(new TaskCompletionSource());
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
                return; // The gate was handed over first: the waiter owns it and will leave it.
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
                _taken = false;
                return;
            }

            _waiters.RemoveFirst();
            next = first.Value;
        }

        next.SetResult();
    }

    /// <summary>The right to be inside; leaving twice is a bug that <see cref="Invariant"/> catches.</summary>
    public struct Pass : IDisposable
    {
        private AsyncGate? _gate;

        internal Pass(AsyncGate gate) => _gate = gate;

        public void Dispose()
        {
            Invariant.Check(_gate is not null, "the gate was left twice");
            AsyncGate gate = _gate!;
            _gate = null;
            gate.Leave();
        }
    }
}
