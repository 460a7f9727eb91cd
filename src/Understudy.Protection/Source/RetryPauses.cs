using Understudy.Blocks;

namespace Understudy.Protection.Source;

/// <summary>
/// How long to wait after a fault (PRO-9): 1, 2, 4, 8, 10, then 30 minutes, a little longer by chance so that many VMs do
/// not come back in one instant. The first fault after something had worked is tried again after a second: most cuts of a
/// link are over by then, and a VM with points every 15 s should not lose four of them to one.
/// </summary>
internal sealed class RetryPauses(IIdSource ids)
{
    private static readonly TimeSpan AfterProgress = TimeSpan.FromSeconds(1);
    private static readonly int[] Minutes = [1, 2, 4, 8, 10, 30];

    /// <summary>At most a tenth on top.</summary>
    private const double Spread = 0.1;

    /// <summary>Faults in a row without anything having worked between them.</summary>
    public int Failures { get; private set; }

    public TimeSpan Next()
    {
        TimeSpan pause = Failures == 0
            ? AfterProgress
            : TimeSpan.FromMinutes(Minutes[Math.Min(Failures, Minutes.Length) - 1]);
        Failures++;
        return pause * (1 + (ids.NextFraction() * Spread));
    }

    public void Progress() => Failures = 0;
}
