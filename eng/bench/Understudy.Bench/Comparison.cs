using System.Diagnostics;
using System.Globalization;
using Understudy.Blocks.Identity;
using Understudy.Journal;

namespace Understudy.Bench;

/// <summary>All that was asked for in one run: in each round the peer, then ours, on the same host and the same bytes.</summary>
internal static class Comparison
{
    private const string OurVm = "bench-ours";
    private const string PeerVm = "bench-peer";
    private const double OwnGoalSeconds = 0.060;
    private const int PointsForTests = 3;

    public static async Task<IReadOnlyList<ResultRow>> RunAsync(IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        Say($"bench: load {File.ReadAllText("/proc/loadavg").TrimEnd()}, {Environment.ProcessorCount} processors, /tmp on {new DriveInfo("/tmp").DriveFormat}");
        await using BenchHost host = await BenchHost.StartAsync(cancellationToken);
        VirtNbdBackup peer = new(host, PeerVm);
        await BenchVm.StartAsync(host, PeerVm, cancellationToken);
        await peer.FullAsync(cancellationToken);
        VmId vm = await BenchVm.StartAsync(host, OurVm, cancellationToken);
        LineId line = new(1, SystemIds.Instance.NewRandom128());
        await using RecoveryHost target = await RecoveryHost.StartAsync(host, vm, OurVm, line, cancellationToken);
        await using SourceSide source = await SourceSide.StartAsync(host, target, vm, OurVm, line, cancellationToken);
        Runs runs = new();

        // Not counted: what only a first time costs on either side (compiled code, warm caches).
        await RoundAsync(names, peer, source, target, new Runs(), 0, cancellationToken);
        for (int round = 1; round <= BenchLimits.Rounds; round++)
        {
            await RoundAsync(names, peer, source, target, runs, round, cancellationToken);
        }

        return [.. names.Select(runs.RowOf)];
    }

    private static async Task RoundAsync(
        IReadOnlyList<string> names, VirtNbdBackup peer, SourceSide source, RecoveryHost target, Runs runs, int round, CancellationToken cancellationToken)
    {
        if (names.Contains(Measurements.TestStart))
        {
            runs.PeerStart.Add((await peer.RestoreAndStartAsync(cancellationToken)).TotalSeconds);
            runs.Start.Add((await StartTestAsync(target, round, cancellationToken)).TotalSeconds);
        }

        if (names.Contains(Measurements.IdleCycle))
        {
            runs.PeerCycle.Add((await peer.IncrementAsync(cancellationToken)).TotalSeconds);
        }

        bool pointsWanted = target.Replica.Points.Count < PointsForTests; // The tests choose from them.
        if (pointsWanted || names.Contains(Measurements.IdleCycle) || names.Contains(Measurements.IdleCycleOwn))
        {
            CycleTime cycle = await source.CycleAsync(cancellationToken);
            runs.Cycle.Add(cycle.Whole.TotalSeconds);
            runs.Own.Add(cycle.Own.TotalSeconds);
        }

        Say($"bench: round {round} of {BenchLimits.Rounds}{(round == 0 ? " (not counted)" : "")}: {string.Join(", ", names.Select(runs.LastOf))}");
    }

    /// <summary>A test failover of one of the points, a different one each round; ended again outside the measured time.</summary>
    private static async Task<TimeSpan> StartTestAsync(RecoveryHost target, int round, CancellationToken cancellationToken)
    {
        IReadOnlyList<RecoveryPoint> points = target.Replica.Points;
        RecoveryPointId point = points[round % points.Count].Id;
        Guid test = Guid.NewGuid();
        long began = Stopwatch.GetTimestamp();
        await target.StartTestAsync(test, point, cancellationToken);
        TimeSpan taken = Stopwatch.GetElapsedTime(began);
        await target.Replica.CompleteTestAsync(test, null, cancellationToken);
        return taken;
    }

    private static void Say(string line) => Console.Error.WriteLine(line);

    private sealed class Runs
    {
        public List<double> Cycle { get; } = [];

        public List<double> Own { get; } = [];

        public List<double> PeerCycle { get; } = [];

        public List<double> Start { get; } = [];

        public List<double> PeerStart { get; } = [];

        public string LastOf(string name)
        {
            ResultRow row = RowOf(name);
            return string.Create(CultureInfo.InvariantCulture, $"{name} {row.Ours[^1]:0.000} s beside {row.Peer[^1]:0.000} s");
        }

        public ResultRow RowOf(string name) => name switch
        {
            Measurements.IdleCycle => new ResultRow(name, Cycle, PeerCycle, "virtnbdbackup -l inc"),
            Measurements.IdleCycleOwn => new ResultRow(name, Own, [OwnGoalSeconds], "goal 60 ms"),
            Measurements.TestStart => new ResultRow(name, Start, PeerStart, "virtnbdrestore, virsh start"),
            _ => throw new UnreachableException(),
        };
    }
}
