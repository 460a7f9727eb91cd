namespace Understudy.Blocks;

/// <summary>Where identities and random numbers come from; seeded in the simulation.</summary>
public interface IIdSource
{
    Guid NewGuid();

    UInt128 NewRandom128();

    /// <summary>A random fraction in [0, 1), for spreading retries.</summary>
    double NextFraction();
}
