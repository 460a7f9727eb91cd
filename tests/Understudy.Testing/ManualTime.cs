namespace Understudy.Testing;

/// <summary>
/// A clock that only moves when a test says so; timers fire inside <see cref="Advance"/>, in order of their due time.
/// Safe for concurrent use.
/// </summary>
public sealed class ManualTime : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<ManualTimer> _timers = [];
    private TimeSpan _elapsed;
    private long _order;

    public DateTimeOffset Start { get; init; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>How many timers wait; a test that must not race waits until the code under test has set its own.</summary>
    public int WaitingTimers
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count;
            }
        }
    }

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return Start + _elapsed;
        }
    }

    public override long GetTimestamp()
    {
        lock (_lock)
        {
            return _elapsed.Ticks;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ManualTimer timer = new(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void Advance(TimeSpan by)
    {
        TimeSpan end;
        lock (_lock)
        {
            end = _elapsed + by;
        }

        while (TakeDue(end) is { } due)
        {
            due.Fire();
        }

        lock (_lock)
        {
            _elapsed = end;
        }
    }

    private ManualTimer? TakeDue(TimeSpan until)
    {
        lock (_lock)
        {
            ManualTimer? first = null;
            foreach (ManualTimer timer in _timers)
            {
                if (timer.Due <= until && (first is null || (timer.Due, timer.Order).CompareTo((first.Due, first.Order)) < 0))
                {
                    first = timer;
                }
            }

            if (first is not null)
            {
                _elapsed = first.Due > _elapsed ? first.Due : _elapsed;
                _timers.Remove(first);
                first.Rearm(_elapsed, ++_order);
            }

            return first;
        }
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period;
        private bool _disposed;

        public TimeSpan Due { get; private set; }

        public long Order { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._lock)
            {
                time._timers.Remove(this);
                _period = period;
                if (_disposed || dueTime == Timeout.InfiniteTimeSpan)
                {
                    return !_disposed;
                }

                Due = time._elapsed + dueTime;
                Order = ++time._order;
                time._timers.Add(this);
                return true;
            }
        }

        public void Rearm(TimeSpan now, long order)
        {
            if (!_disposed && _period > TimeSpan.Zero)
            {
                Due = now + _period;
                Order = order;
                time._timers.Add(this);
            }
        }

        public void Fire() => callback(state);

        public void Dispose()
        {
            lock (time._lock)
            {
                _disposed = true;
                time._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
