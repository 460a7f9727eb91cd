using Understudy.Blocks.Storage;
using Understudy.Simulation.Sites;
using Understudy.Simulation.World;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Running;

internal sealed record SeedResult(ulong Seed, string? Violation, ulong Hash, long Events, long Steps, Counters Counters, Coverage Coverage);

/// <summary>What a seed is about.</summary>
internal enum RunKind
{
    /// <summary>One replica alone.</summary>
    Replica,

    /// <summary>The data plane: source, link, target.</summary>
    Plane,

    /// <summary>Two whole sides, a vault and a user.</summary>
    Sites,
}

/// <summary>One seed, from nothing to its verdict.</summary>
internal static class SeedRunner
{
    /// <param name="keepFilesIn">A folder that gets the hosts' files as they were at the end.</param>
    /// <param name="checkThreadPool">Off where others use the pool at the same time, as under a test runner.</param>
    public static SeedResult Run(
        ulong seed, Plant plant = Plant.None, TextWriter? trace = null, string? keepFilesIn = null, bool checkThreadPool = true)
    {
        var context = new RunContext(seed, plant, trace);
        long poolWork = ThreadPoolWork();
        if (trace is not null && checkThreadPool)
        {
            NoteEscapes(context, poolWork);
        }

        try
        {
            context.Simulator.Run(() => RunKindAsync(context));
        }
        catch (SimulationException broken)
        {
            context.Violations.Report("simulation", broken.Message);
        }
#pragma warning disable CA1031 // A crash of anything inside the run is this seed's violation, not the end of all seeds.
        catch (Exception crashed)
#pragma warning restore CA1031
        {
            context.Violations.Report("crash", crashed.ToString());
        }

        if (checkThreadPool && ThreadPoolWork() != poolWork)
        {
            context.Violations.Report("determinism", "something ran on the thread pool and came back unseen");
        }

        if (keepFilesIn is not null)
        {
            KeepFiles(context, keepFilesIn);
        }

        return new SeedResult(
            seed, context.Violations.First, context.Trace.Hash, context.Trace.Events, context.Simulator.Steps, context.Counters, context.Coverage);
    }

    /// <summary>What a seed is about; drawn first, so it can be told without running it.</summary>
    public static RunKind KindOf(ulong seed) => DrawKind(new RunContext(seed, Plant.None, null));

    /// <summary>
    /// Two of four seeds are about the two sides with all that runs on them, one about the data plane between them, one about
    /// the replica alone, which gets further per second.
    /// </summary>
    private static RunKind DrawKind(RunContext context) => context.Random.Next(4) switch
    {
        0 => RunKind.Plane,
        1 => RunKind.Replica,
        _ => RunKind.Sites,
    };

    private static Task RunKindAsync(RunContext context)
    {
        RunKind kind = DrawKind(context);
        context.Counters.Add($"runs: {kind}");
        return kind switch
        {
            RunKind.Plane => new WholeRun(context).RunAsync(),
            RunKind.Replica => new ReplicaRun(context).RunAsync(),
            _ => new SitesRun(context).RunAsync(),
        };
    }

    private static void KeepFiles(RunContext context, string folder)
    {
        foreach (SimHost host in context.Hosts)
        {
            foreach (StoreEntry file in host.Disk.ListAll(""))
            {
                string path = Path.Combine(folder, host.Name, file.Name);
                Directory.CreateDirectory(Path.GetDirectoryName(path) ?? folder);
                File.WriteAllBytes(path, host.Disk.ReadFile(file.Name) ?? []);
            }
        }
    }

    /// <summary>In a replay: the step at which something left the simulation stands in the trace.</summary>
    private static void NoteEscapes(RunContext context, long poolWork)
    {
        long seen = poolWork;
        context.Simulator.AfterStep = () =>
        {
            if (ThreadPoolWork() is var now && now != seen)
            {
                seen = now;
                context.Trace.Note(context.Simulator.NowTicks, "ESCAPE", "the step before this line gave work to the thread pool");
            }
        };
    }

    /// <summary>Nothing in a simulation uses the pool, so any change is an escape.</summary>
    private static long ThreadPoolWork() => ThreadPool.CompletedWorkItemCount + ThreadPool.PendingWorkItemCount;
}
