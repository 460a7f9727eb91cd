namespace Understudy.Testing.Simulation;

/// <summary>
/// A process's view of time. Timers and <see cref="GetTimestamp"/> follow the run's monotonic time; only
/// <see cref="GetUtcNow"/> carries the host's error, and may jump.
/// </summary>
internal sealed class SimTime(SimProcess process) : TimeProvider
{
    internal static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly SimProcess _process = process;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() =>
        Epoch + TimeSpan.FromTicks(_process.Simulator.NowTicks) + (_process.Host?.ClockError ?? TimeSpan.Zero);

    public override long GetTimestamp() => _process.Simulator.NowTicks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new SimTimer(_process, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }
}

/// <summary>A timer in simulated time; firing makes its callback ready, the seed decides when it runs.</summary>
internal sealed class SimTimer(SimProcess process, TimerCallback callback, object? state) : ITimer
{
    private readonly TimerCallback _callback = callback;
    private readonly object? _state = state;
    private TimeSpan _period = Timeout.InfiniteTimeSpan;
    private bool _disposed;

    public SimProcess Process { get; } = process;

    /// <summary>Raised by every change, so that an entry in the queue that is out of date is known as such.</summary>
    public int Version { get; private set; }

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        if (_disposed)
        {
            return false;
        }

        Version++;
        _period = period > TimeSpan.Zero ? period : Timeout.InfiniteTimeSpan;
        if (dueTime >= TimeSpan.Zero)
        {
            Process.Simulator.SetTimer(this, Process.Simulator.NowTicks + dueTime.Ticks);
        }

        return true;
    }

    public void Dispose()
    {
        _disposed = true;
        Version++;
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    internal void Fire()
    {
        Version++;
        Process.Context.Post(static self => ((SimTimer)self!).Call(), this);
        if (_period > TimeSpan.Zero)
        {
            Process.Simulator.SetTimer(this, Process.Simulator.NowTicks + _period.Ticks);
        }
    }

    private void Call() => _callback(_state);
}
