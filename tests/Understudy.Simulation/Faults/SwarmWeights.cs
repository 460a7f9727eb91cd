using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Faults;

/// <summary>
/// Swarm testing: each seed draws weights of its own, many of them zero. A run that only ever cuts the link gets further
/// into resuming than one in which something else always interrupts.
/// </summary>
internal sealed class SwarmWeights<T>
    where T : struct, Enum
{
    private readonly T[] _all = Enum.GetValues<T>();
    private readonly double[] _weights;
    private readonly double _sum;

    /// <param name="absent">How likely it is that a seed does without one of them.</param>
    public SwarmWeights(SimRandom random, double absent = 0.5)
    {
        _weights = [.. _all.Select(_ => random.Chance(absent) ? 0 : -Math.Log(1 - random.NextFraction()))];
        _sum = _weights.Sum();
    }

    /// <summary>Null when this seed draws none at all.</summary>
    public T? Next(SimRandom random)
    {
        double at = random.NextFraction() * _sum;
        for (int i = 0; i < _weights.Length; i++)
        {
            at -= _weights[i];
            if (at < 0 && _weights[i] > 0)
            {
                return _all[i];
            }
        }

        return null;
    }
}
