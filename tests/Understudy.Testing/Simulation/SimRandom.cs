using System.Numerics;

namespace Understudy.Testing.Simulation;

/// <summary>
/// xoshiro256**: the same numbers for a seed on every runtime and machine, so that a seed in a bug report stays good.
/// Parts of a run draw from forks of their own: a change in how often one part draws does not reshuffle the others.
/// </summary>
public sealed class SimRandom
{
    private ulong _a;
    private ulong _b;
    private ulong _c;
    private ulong _d;

    public SimRandom(ulong seed)
    {
        _a = Mix(ref seed);
        _b = Mix(ref seed);
        _c = Mix(ref seed);
        _d = Mix(ref seed);
    }

    /// <summary>An independent stream; <paramref name="purpose"/> keeps forks made from the same state apart.</summary>
    public SimRandom Fork(ulong purpose) => new(NextULong() ^ (purpose * 0x9E3779B97F4A7C15));

    public ulong NextULong()
    {
        ulong result = BitOperations.RotateLeft(_b * 5, 7) * 9;
        ulong shifted = _b << 17;
        _c ^= _a;
        _d ^= _b;
        _b ^= _c;
        _a ^= _d;
        _c ^= shifted;
        _d = BitOperations.RotateLeft(_d, 45);
        return result;
    }

    /// <summary>In [0, <paramref name="limit"/>); 0 when the limit is 0 or 1.</summary>
    public long NextLong(long limit) => limit <= 1 ? 0 : (long)Math.BigMul(NextULong(), (ulong)limit, out _);

    public int Next(int limit) => (int)NextLong(limit);

    /// <summary>In [<paramref name="from"/>, <paramref name="to"/>], both included.</summary>
    public long Between(long from, long to) => from + NextLong(to - from + 1);

    public int Between(int from, int to) => (int)Between((long)from, to);

    public TimeSpan Between(TimeSpan from, TimeSpan to) => new(Between(from.Ticks, to.Ticks));

    public double NextFraction() => (NextULong() >> 11) * (1.0 / (1UL << 53));

    public bool Chance(double probability) => probability > 0 && NextFraction() < probability;

    public T Pick<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    /// <summary>SplitMix64, the seeding recommended for xoshiro.</summary>
    private static ulong Mix(ref ulong state)
    {
        ulong z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
