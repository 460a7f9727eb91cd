namespace Understudy.Replication;

/// <summary>
/// Wakes whoever waits for "something changed". Read <see cref="Beats"/> before looking at the state, then wait for a
/// beat past it: a change between the look and the wait is not missed. Each waiter is awaited directly, never through
/// Task.WaitAsync or WhenAny, which would leave the simulation for the thread pool.
/// </summary>
public sealed class Pulse
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource> _waiters = new();
    private long _beats;

    public long Beats
    {
        get
        {
            lock (_lock)
            {
                return _beats;
            }
        }
    }

    public void Beat()
    {
        TaskCompletionSource[] woken;
        lock (_lock)
        {
            _beats++;
            woken = [.. _waiters];
            _waiters.Clear();
        }

        foreach (TaskCompletionSource waiter in woken)
        {
            waiter.TrySetResult();
        }
    }

    /// <summary>Returns at once when there was a beat after <paramref name="beats"/>, otherwise at the next one.</summary>
    public async ValueTask WaitPastAsync(long beats, CancellationToken cancellationToken)
    {
        LinkedListNode<TaskCompletionSource> mine;
        lock (_lock)
        {
            if (_beats > beats)
            {
                return;
            }

            mine = _waiters.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        using CancellationTokenRegistration registration = cancellationToken.Register(() => Cancel(mine, cancellationToken));
        await mine.Value.Task;
    }

    /// <summary>The same, for so long at most: false when there was no beat in that time.</summary>
    public async ValueTask<bool> WaitPastAsync(long beats, TimeSpan atMost, TimeProvider time, CancellationToken cancellationToken)
    {
        if (atMost <= TimeSpan.Zero)
        {
            return Beats > beats;
        }

        using CancellationTokenSource late = new(atMost, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            await WaitPastAsync(beats, either.Token);
            return true;
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private void Cancel(LinkedListNode<TaskCompletionSource> waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (waiter.List is not null)
            {
                _waiters.Remove(waiter);
            }
        }

        waiter.Value.TrySetCanceled(cancellationToken);
    }
}
