using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Running;

/// <summary>What every part of one run shares.</summary>
internal sealed class RunContext
{
    private const long EventsOfTrouble = 1000;

    public RunContext(ulong seed, Plant plant, TextWriter? trace)
    {
        Trace = new SimTrace(trace);
        Simulator = new Simulator(seed, Trace, new SimulatorLimits { Steps = 3_000_000, Time = TimeSpan.FromDays(4) });
        Random = Simulator.Random.Fork(7);
        Violations = new Violations(Simulator);
        Logger = trace is null
            ? Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance
            : new TraceLogger(Simulator);
        Plant = plant;
    }

    public Simulator Simulator { get; }

    public SimTrace Trace { get; }

    public SimRandom Random { get; }

    public Violations Violations { get; }

    public Counters Counters { get; } = new();

    public Coverage Coverage { get; } = new();

    /// <summary>What product code logs, among the events of a replay; nothing otherwise.</summary>
    public Microsoft.Extensions.Logging.ILogger Logger { get; }

    public Plant Plant { get; }

    /// <summary>
    /// Events after which a run stops making trouble and turns to its end, which adds some hundreds. Many short seeds
    /// reach more different states than few long ones.
    /// </summary>
    public bool HasDoneEnough => Trace.Events >= EventsOfTrouble;

    /// <summary>For whoever wants to look at their disks when the run is over.</summary>
    public List<SimHost> Hosts { get; } = [];

    public SimHost AddHost(string name)
    {
        var host = new SimHost(Simulator, name);
        Hosts.Add(host);
        return host;
    }
}
