namespace Understudy.Protection.Source;

/// <summary>Counts and rates since the engine started; no I/O.</summary>
internal sealed class SourceStatistics
{
    /// <summary>Weight of the newest sample in a moving average: about the last ten count.</summary>
    private const double NewestWeight = 0.2;

    private double _bytes;

    public long Made { get; private set; }

    public long Missed { get; private set; }

    public long Failed { get; private set; }

    public long LargestBytes { get; private set; }

    public TimeSpan? LastDuration { get; private set; }

    public double LinkBytesPerSecond { get; private set; }

    public double CopyBytesPerSecond { get; private set; }

    public double ChangedBytesPerSecond { get; private set; }

    public long AverageBytes => Made == 0 ? 0 : (long)(_bytes / Made);

    public void CycleFailed() => Failed++;

    /// <param name="late">How long after its time the cut was made.</param>
    public void CutMade(TimeSpan late, TimeSpan frequency) => Missed += Math.Max(0, late.Ticks / frequency.Ticks);

    public void CycleDelivered(long bytes, TimeSpan sinceCut, TimeSpan sending)
    {
        Made++;
        _bytes += bytes;
        LargestBytes = Math.Max(LargestBytes, bytes);
        LastDuration = sinceCut;
        LinkBytesPerSecond = Moved(LinkBytesPerSecond, bytes, sending);
    }

    public void CopyMoved(long bytes, TimeSpan took) => CopyBytesPerSecond = Moved(CopyBytesPerSecond, bytes, took);

    public void Changed(long bytes, TimeSpan since) => ChangedBytesPerSecond = Moved(ChangedBytesPerSecond, bytes, since);

    public void CopyBegins() => CopyBytesPerSecond = 0;

    /// <summary>The sentence for a VM that changes faster than the link carries; null when it holds or is not yet known.</summary>
    public string? LinkWarning(bool copying)
    {
        if (LinkBytesPerSecond <= 0 || ChangedBytesPerSecond <= LinkBytesPerSecond)
        {
            return null;
        }

        string numbers = $"the VM changes {Megabytes(ChangedBytesPerSecond)}/s, the link carries {Megabytes(LinkBytesPerSecond)}/s";
        return copying ? $"the link cannot hold this VM: {numbers}; the copy moves on by a quarter of each job" : $"the link cannot hold this VM: {numbers}";
    }

    private static double Moved(double average, long bytes, TimeSpan took)
    {
        double sample = bytes / Math.Max(took.TotalSeconds, 0.001);
        return average == 0 ? sample : average + (NewestWeight * (sample - average));
    }

    private static string Megabytes(double bytes) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB");
}
