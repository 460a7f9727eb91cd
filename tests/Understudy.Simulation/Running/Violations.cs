using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Running;

/// <summary>What the checkers found. The first one ends the run: what follows it would only be its consequences.</summary>
internal sealed class Violations(Simulator simulator)
{
    private readonly Simulator _simulator = simulator;

    public string? First { get; private set; }

    /// <summary>Completes at the first violation.</summary>
    public TaskCompletionSource Found { get; } = new();

    public void Report(string checker, string what)
    {
        if (First is not null)
        {
            return;
        }

        First = $"{checker}: {what} (at {TimeSpan.FromTicks(_simulator.NowTicks)})";
        _simulator.Trace.Note(_simulator.NowTicks, "VIOLATION", First);
        Found.TrySetResult();
    }
}
