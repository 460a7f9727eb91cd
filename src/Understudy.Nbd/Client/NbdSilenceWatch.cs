namespace Understudy.Nbd.Client;

/// <summary>Ends a connection whose requests are not answered. Looks a few times in the limit: no request pays for it.</summary>
internal sealed class NbdSilenceWatch : IAsyncDisposable
{
    private const int LooksInLimit = 4;

    private readonly NbdPatience _patience;
    private readonly NbdInFlightTable _table;
    private readonly Action _end;
    private readonly ITimer _timer;
    private readonly Lock _lock = new(); // looks may overlap on a busy machine
    private long _answersSeen;
    private long _since;

    public NbdSilenceWatch(NbdPatience patience, NbdInFlightTable table, Action end)
    {
        (_patience, _table, _end) = (patience, table, end);
        _since = patience.Time.GetTimestamp();
        TimeSpan pause = patience.Limit / LooksInLimit;
        _timer = patience.Time.CreateTimer(static watch => ((NbdSilenceWatch)watch!).Look(), this, pause, pause);
    }

    public ValueTask DisposeAsync() => _timer.DisposeAsync();

    private void Look()
    {
        lock (_lock)
        {
            long answers = _table.Answered;
            if (_table.IsIdle || answers != _answersSeen)
            {
                (_answersSeen, _since) = (answers, _patience.Time.GetTimestamp());
            }
            else if (_patience.Time.GetElapsedTime(_since) >= _patience.Limit)
            {
                _end();
            }
        }
    }
}
