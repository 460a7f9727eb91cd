namespace Understudy.Protection.Tests.Target.World;

/// <summary>The real clock, some days later: what waits runs as ever, what is old enough has expired. Time that is measured
/// goes with it only where the days have really passed (<see cref="Pass"/>); a clock that was set (<see cref="Shift"/>) moves alone.</summary>
internal sealed class ShiftedTime : TimeProvider
{
    public TimeSpan Shift { get; set; }

    private TimeSpan _passed;
    private long _pauses;

    /// <summary>Pauses that were begun: a loop begins one after each of its rounds.</summary>
    public long Pauses => Interlocked.Read(ref _pauses);

    public void Pass(TimeSpan time)
    {
        Shift += time;
        _passed += time;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Interlocked.Increment(ref _pauses);
        return base.CreateTimer(callback, state, dueTime, period);
    }

    public override long GetTimestamp() => base.GetTimestamp() + (long)(_passed.TotalSeconds * TimestampFrequency);

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Shift;
}
