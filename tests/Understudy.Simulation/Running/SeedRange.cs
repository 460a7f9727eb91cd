using System.Diagnostics;
using System.Globalization;

namespace Understudy.Simulation.Running;

/// <summary>Many seeds, on a few threads of their own; each seed is one thread's from beginning to end.</summary>
internal static class SeedRange
{
    /// <summary>One seed in so many is run twice and its traces compared.</summary>
    private const ulong TwiceEvery = 20;

    /// <param name="only">Seeds about anything else are passed over, and do not count.</param>
    public static bool Run(ulong from, ulong count, int cores, RunKind? only, TextWriter output)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count} seeds from {from}"));
        var counters = new Counters();
        var coverage = new Coverage();
        var gate = new Lock();
        ulong next = 0;
        ulong begun = 0;
        long violations = 0;
        long events = 0;
        long steps = 0;
        long fewest = long.MaxValue;
        long started = Stopwatch.GetTimestamp();
        TimeSpan usedBefore = Environment.CpuUsage.TotalTime;

        void Work()
        {
            while (true)
            {
                ulong index;
                lock (gate)
                {
                    while (only is { } kind && SeedRunner.KindOf(from + next) != kind)
                    {
                        next++;
                    }

                    if (begun++ >= count)
                    {
                        return;
                    }

                    index = next++;
                }

                SeedResult result = SeedRunner.Run(from + index);
                string? violation = result.Violation ?? (index % TwiceEvery == 0 ? CompareWithSecondRun(result) : null);
                lock (gate)
                {
                    events += result.Events;
                    steps += result.Steps;
                    fewest = Math.Min(fewest, result.Events);
                    counters.AddAll(result.Counters);
                    coverage.AddAll(result.Coverage);
                    if (violation is not null)
                    {
                        violations++;
                        output.WriteLine($"VIOLATION seed {result.Seed}: {violation}");
                        output.WriteLine($"  ./sim --replay {result.Seed}");
                    }
                }
            }
        }

        Thread[] threads = [.. Enumerable.Range(0, cores).Select(n => new Thread(Work, 16 * 1024 * 1024) { Name = $"seeds {n}", IsBackground = true })];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        output.WriteLine("reached:");
        counters.Print(output);
        coverage.Print(output);
        foreach (string impossible in coverage.Impossible)
        {
            violations++;
            output.WriteLine($"VIOLATION coverage: it cannot be, and was reached: {impossible}");
        }

        if (counters[$"runs: {RunKind.Sites}"] >= Coverage.EnoughRuns)
        {
            foreach (string missing in coverage.Missing([.. Coverage.AllPairs, .. Coverage.AllOwners]))
            {
                violations++;
                output.WriteLine($"VIOLATION coverage: never reached: {missing}");
            }
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(started);
        TimeSpan used = Environment.CpuUsage.TotalTime - usedBefore;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{events / (long)count} events and {steps / (long)count} steps a seed, at least {fewest} events"));
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{elapsed.TotalSeconds:F1} s on {cores} cores; {count / used.TotalSeconds:F0} seeds a second of processor time, compiling and second runs included"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count} seeds, {violations} violations"));
        return violations == 0;
    }

    private static string? CompareWithSecondRun(SeedResult first)
    {
        SeedResult second = SeedRunner.Run(first.Seed);
        return second.Hash == first.Hash ? null : $"determinism: trace {first.Hash:x16} the first time, {second.Hash:x16} the second";
    }
}
