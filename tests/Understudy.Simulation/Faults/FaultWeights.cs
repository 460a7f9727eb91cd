using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Faults;

/// <summary>
/// Swarm testing: each seed draws weights of its own, many of them zero. A run that only ever cuts the link gets further
/// into resuming than one in which something else always interrupts.
/// </summary>
internal sealed class FaultWeights
{
    private readonly double[] _weights;
    private readonly double _sum;

    public FaultWeights(SimRandom random)
    {
        Strike[] all = Enum.GetValues<Strike>();
        _weights = [.. all.Select(_ => random.Chance(0.5) ? 0 : -Math.Log(1 - random.NextFraction()))];
        _sum = _weights.Sum();
    }

    /// <summary>Null when this seed draws no faults at all.</summary>
    public Strike? Next(SimRandom random)
    {
        double at = random.NextFraction() * _sum;
        for (int i = 0; i < _weights.Length; i++)
        {
            at -= _weights[i];
            if (at < 0 && _weights[i] > 0)
            {
                return (Strike)i;
            }
        }

        return null;
    }
}
