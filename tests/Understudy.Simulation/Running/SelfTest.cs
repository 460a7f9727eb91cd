using System.Globalization;

namespace Understudy.Simulation.Running;

/// <summary>Plants each known fault and looks for the first seed whose checkers see it.</summary>
internal static class SelfTest
{
    /// <summary>Seeds a planted fault may take to be caught; the slowest kind needs a crash inside one batch of an apply.</summary>
    public const int MostSeeds = 2000;

    public static bool Run(int mostSeeds, TextWriter output)
    {
        int caught = 0;
        foreach (Plant plant in Plants.All)
        {
            (ulong Seed, string What)? found = Find(plant, mostSeeds);
            caught += found is null ? 0 : 1;
            output.WriteLine(found is { } at
                ? string.Create(CultureInfo.InvariantCulture, $"caught   {plant.Words()}: seed {at.Seed}: {at.What}")
                : string.Create(CultureInfo.InvariantCulture, $"MISSED   {plant.Words()}: not seen in {mostSeeds} seeds"));
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Plants.All.Count} planted, {caught} caught"));
        return caught == Plants.All.Count;
    }

    public static (ulong Seed, string What)? Find(Plant plant, int mostSeeds, bool checkThreadPool = true)
    {
        for (ulong seed = 1; seed <= (ulong)mostSeeds; seed++)
        {
            if (plant.IsOfSites() && SeedRunner.KindOf(seed) != RunKind.Sites)
            {
                continue;
            }

            // A crash is only the wake of a fault: what counts is that a checker names what is wrong.
            if (SeedRunner.Run(seed, plant, checkThreadPool: checkThreadPool).Violation is { } violation && !violation.StartsWith("crash", StringComparison.Ordinal))
            {
                return (seed, violation.Split('\n')[0]);
            }
        }

        return null;
    }
}
