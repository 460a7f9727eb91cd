using Understudy.Blocks;

namespace Understudy.Testing.Simulation;

/// <summary>Identities and chance from the run's seed.</summary>
public sealed class SeededIds(SimRandom random) : IIdSource
{
    private readonly SimRandom _random = random;

    public Guid NewGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        BitConverter.TryWriteBytes(bytes, _random.NextULong());
        BitConverter.TryWriteBytes(bytes[8..], _random.NextULong());
        return new Guid(bytes);
    }

    public UInt128 NewRandom128() => new(_random.NextULong(), _random.NextULong());

    public double NextFraction() => _random.NextFraction();
}
