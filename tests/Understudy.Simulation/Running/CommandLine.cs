using System.Diagnostics;
using System.Globalization;

namespace Understudy.Simulation.Running;

/// <summary>The arguments of <c>./sim</c> (docs/operations/simulation.md).</summary>
internal static class CommandLine
{
    private const string Usage =
        """
        usage: ./sim --seeds N [--from S] [--cores C] [--only KIND]
                                                                   runs N seeds; KIND: Replica, Plane or Sites; ends with "N seeds, V violations"
               ./sim --replay SEED [--plant FAULT] [--files DIR]   runs one seed and prints its trace; keeps the hosts' files
               ./sim --self-test [--seeds N]                       plants known faults; ends with "N planted, N caught"
        """;

    public static int Run(IReadOnlyList<string> args, TextWriter output, TextWriter errors)
    {
        Dictionary<string, string>? options = Parse(args);
        if (options is null)
        {
            errors.WriteLine(Usage);
            return 2;
        }

        if (options.TryGetValue("--replay", out string? seed))
        {
            return Replay(Number(seed), options, output);
        }

        if (options.ContainsKey("--self-test"))
        {
            return SelfTest.Run(options.TryGetValue("--seeds", out string? most) ? (int)Number(most) : SelfTest.MostSeeds, output) ? 0 : 1;
        }

        ulong count = Number(options.GetValueOrDefault("--seeds", "1000"));
        ulong from = options.TryGetValue("--from", out string? start) ? Number(start) : FreshSeed();
        int cores = options.TryGetValue("--cores", out string? c) ? (int)Number(c) : Environment.ProcessorCount;
        RunKind? only = options.TryGetValue("--only", out string? kind) ? Enum.Parse<RunKind>(kind, ignoreCase: true) : null;
        return SeedRange.Run(from, count, cores, only, output) ? 0 : 1;
    }

    private static int Replay(ulong seed, Dictionary<string, string> options, TextWriter output)
    {
        Plant plant = options.TryGetValue("--plant", out string? name) ? Enum.Parse<Plant>(name, ignoreCase: true) : Plant.None;
        SeedResult first = SeedRunner.Run(seed, plant, output, options.GetValueOrDefault("--files"));
        SeedResult second = SeedRunner.Run(seed, plant);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"seed {seed}: {first.Events} events, {first.Steps} steps, trace {first.Hash:x16}"));
        if (first.Hash != second.Hash)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"NOT DETERMINISTIC: a second run has trace {second.Hash:x16}"));
        }

        output.WriteLine(first.Violation is null ? "no violation" : $"VIOLATION {first.Violation}");
        return first.Violation is null && first.Hash == second.Hash ? 0 : 1;
    }

    private static Dictionary<string, string>? Parse(IReadOnlyList<string> args)
    {
        string[] flags = ["--self-test"];
        string[] valued = ["--seeds", "--from", "--cores", "--only", "--replay", "--plant", "--files"];
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < args.Count; i++)
        {
            bool takesValue = valued.Contains(args[i]);
            if ((!takesValue && !flags.Contains(args[i])) || (takesValue && i + 1 == args.Count))
            {
                return null;
            }

            options[args[i]] = takesValue ? args[++i] : "";
        }

        return options.Count == 0 ? null : options;
    }

    private static ulong Number(string text) => ulong.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>The only chance in the program: where the seeds of this run begin. It is printed.</summary>
    private static ulong FreshSeed() => (ulong)Stopwatch.GetTimestamp() % 1_000_000_000;
}
