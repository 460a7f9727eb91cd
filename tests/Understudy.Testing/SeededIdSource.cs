using Understudy.Blocks;

namespace Understudy.Testing;

/// <summary>Identities and chance from one seed: the same seed gives the same run. Not safe for concurrent use.</summary>
public sealed class SeededIdSource(int seed) : IIdSource
{
    private readonly Random _random = new(seed);

    public Guid NewGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        return new Guid(bytes);
    }

    public UInt128 NewRandom128() => new((ulong)_random.NextInt64(), (ulong)_random.NextInt64());

    public double NextFraction() => _random.NextDouble();
}
