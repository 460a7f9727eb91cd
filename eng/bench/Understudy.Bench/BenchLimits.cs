namespace Understudy.Bench;

/// <summary>Every bound of a run, in one place.</summary>
internal static class BenchLimits
{
    /// <summary>Paired runs behind each median.</summary>
    public const int Rounds = 5;

    /// <summary>The whole of a compare run but for its clearing up; ./bench adds its own, harder limit.</summary>
    public static readonly TimeSpan WholeRun = TimeSpan.FromSeconds(170);

    /// <summary>The peer's longest single command.</summary>
    public static readonly TimeSpan Command = TimeSpan.FromSeconds(60);

    /// <summary>Ours: the first copy, or a cycle including the wait until it is due.</summary>
    public static readonly TimeSpan Cycle = TimeSpan.FromSeconds(60);
}
