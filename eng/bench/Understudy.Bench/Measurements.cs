namespace Understudy.Bench;

/// <summary>The names of what can be measured; eng/bench/README.md says where each number comes from.</summary>
internal static class Measurements
{
    public const string IdleCycle = "idle_cycle";
    public const string IdleCycleOwn = "idle_cycle_own";
    public const string TestStart = "test_start";

    public static readonly string[] All = [IdleCycle, IdleCycleOwn, TestStart];
}
