namespace Understudy.Vault.Protection;

/// <summary>
/// The wall clock, for what is done by the clock and cannot be taken back. A machine may start with a clock that is days ahead,
/// and be corrected a minute later: time that nobody saw pass is believed only after the clock has gone on evenly for a while.
/// </summary>
internal sealed class BelievedClock(VaultSettings settings)
{
    /// <summary>Corrections by slewing are far smaller between two looks of two seconds, steps are larger or do no harm.</summary>
    private static readonly TimeSpan _step = TimeSpan.FromSeconds(30);

    private readonly TimeProvider _time = settings.Time;
    private readonly TimeSpan _patience = settings.ClockPatience;
    private readonly Lock _lock = new(); // guards the three below
    private DateTimeOffset _lastWall = settings.Time.GetUtcNow();
    private long _lastTimestamp = settings.Time.GetTimestamp(); // which no clock that is set moves
    private long _evenSince = settings.Time.GetTimestamp();

    /// <summary>Null while the clock has still to show that it goes on evenly. Looked at every few seconds, or it is not.</summary>
    public DateTimeOffset? Now()
    {
        lock (_lock)
        {
            (DateTimeOffset now, long timestamp) = (_time.GetUtcNow(), _time.GetTimestamp());
            if ((now - _lastWall - _time.GetElapsedTime(_lastTimestamp, timestamp)).Duration() > _step)
            {
                _evenSince = timestamp;
            }

            (_lastWall, _lastTimestamp) = (now, timestamp);
            return _time.GetElapsedTime(_evenSince, timestamp) >= _patience ? now : null;
        }
    }
}
