using Understudy.Testing.Simulation.Storage;

namespace Understudy.Testing.Simulation;

/// <summary>A machine: a disk that outlives it, a clock that may be wrong, and processes.</summary>
public sealed class SimHost
{
    private readonly List<SimProcess> _processes = [];
    private TimeSpan _clockError;
    private double _drift;
    private long _driftsSinceTicks;

    public SimHost(Simulator simulator, string name)
    {
        Simulator = simulator;
        Name = name;
        Disk = new SimDisk(simulator, name, simulator.Random.Fork(2));
    }

    public Simulator Simulator { get; }

    public string Name { get; }

    public SimDisk Disk { get; }

    /// <summary>How far the wall clock is off; timers do not care.</summary>
    public TimeSpan ClockError => _clockError + TimeSpan.FromTicks((long)((Simulator.NowTicks - _driftsSinceTicks) * _drift));

    /// <summary>False between a power loss and <see cref="Boot"/>.</summary>
    public bool IsUp { get; private set; } = true;

    /// <summary>Counts boots, so that a peer's old connection is told from a new one.</summary>
    public int BootNumber { get; private set; } = 1;

    public long BootedAtTicks { get; private set; }

    public SimProcess Start(string name, Func<SimProcess, Task> main)
    {
        if (!IsUp)
        {
            throw new SimulationException($"{Name} has no power");
        }

        var process = new SimProcess(Simulator, this, $"{Name}/{name}", Simulator.NextProcessNumber());
        _processes.Add(process);
        Simulator.Trace.Event(Simulator.NowTicks, process.Name, "process starts");
        process.Start(main);
        return process;
    }

    /// <summary>kill -9 of every process; the machine goes on.</summary>
    public void Kill()
    {
        foreach (SimProcess process in _processes)
        {
            process.Kill();
        }
    }

    /// <summary>Everything stops at once; what was not flushed is lost, torn or kept as the seed says.</summary>
    public void PowerLoss() => Simulator.Interrupt(() =>
    {
        if (!IsUp)
        {
            return;
        }

        IsUp = false;
        Simulator.Trace.Event(Simulator.NowTicks, Name, "power loss");
        foreach (SimProcess process in _processes)
        {
            process.End(ProcessEnd.PowerLost);
        }

        _processes.Clear();
        Disk.LosePower();
    });

    public void Boot()
    {
        if (!IsUp)
        {
            IsUp = true;
            BootNumber++;
            BootedAtTicks = Simulator.NowTicks;
            Simulator.Trace.Event(Simulator.NowTicks, Name, "boot");
        }
    }

    /// <summary>From now on the wall clock goes faster or slower by this part of the time that passes.</summary>
    public void DriftClock(double rate)
    {
        (_clockError, _driftsSinceTicks, _drift) = (ClockError, Simulator.NowTicks, rate);
        Simulator.Trace.Event(Simulator.NowTicks, Name, "clock drifts", "", (long)(rate * 1e6));
    }

    public void JumpClock(TimeSpan by)
    {
        _clockError += by;
        Simulator.Trace.Event(Simulator.NowTicks, Name, "clock jumps", "", by.Ticks);
    }
}
