using Understudy.Blocks.Storage;
using Understudy.Simulation.World;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Running;

internal sealed record SeedResult(ulong Seed, string? Violation, ulong Hash, long Events, long Steps, Counters Counters);

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
            seed, context.Violations.First, context.Trace.Hash, context.Trace.Events, context.Simulator.Steps, context.Counters);
    }

    /// <summary>Half of the seeds are about the whole system, half about the replica alone, which gets further per second.</summary>
    private static Task RunKindAsync(RunContext context)
    {
        bool whole = context.Random.Chance(0.5);
        context.Counters.Add(whole ? "runs of the whole system" : "runs of a replica");
        return whole ? new WholeRun(context).RunAsync() : new ReplicaRun(context).RunAsync();
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

    /// <summary>Nothing in a simulation uses the pool, so any change is an escape.</summary>
    private static long ThreadPoolWork() => ThreadPool.CompletedWorkItemCount + ThreadPool.PendingWorkItemCount;
}
