using System.Security.Cryptography;
using Understudy.Blocks;

namespace Understudy.Bench;

/// <summary>Identities and chance, for real.</summary>
internal sealed class SystemIds : IIdSource
{
    public static readonly SystemIds Instance = new();

    public Guid NewGuid() => Guid.NewGuid();

    public UInt128 NewRandom128()
    {
        Span<byte> bytes = stackalloc byte[16];
        RandomNumberGenerator.Fill(bytes);
        return new UInt128(BitConverter.ToUInt64(bytes), BitConverter.ToUInt64(bytes[8..]));
    }

    public double NextFraction() => Random.Shared.NextDouble();
}
