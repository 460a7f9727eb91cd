using System.Buffers.Binary;
using System.Security.Cryptography;
using Understudy.Blocks;

namespace Understudy.Replication.Comparing;

/// <summary>
/// The first 128 bits of a block's SHA-256: both sides make it of what they read, and a block with equal sums is not sent
/// (docs/protocols/replication.md). The default says that a side cannot vouch for any content: it equals no block's sum.
/// </summary>
public readonly record struct ContentSum
{
    public const int SizeBytes = 16;

    private static readonly byte[] Zeros = new byte[BlockSize.Bytes];

    private static readonly ContentSum[] OfZerosBySize = [.. Enumerable.Range(0, 5).Select(power => Hash(new byte[BlockSize.Bytes << power]))];

    private ContentSum(UInt128 value) => Value = value;

    private UInt128 Value { get; }

    /// <summary>Whether there is a sum at all.</summary>
    public bool IsKnown => Value != 0;

    /// <param name="content">A block, or the beginning of one that the disk ends in: it counts as filled up with zeros.</param>
    public static ContentSum Of(ReadOnlySpan<byte> content, int blockBytes)
    {
        if (ZeroScan.IsZero(content))
        {
            return OfZeros(blockBytes);
        }

        return content.Length == blockBytes ? Hash(content) : HashFilledUp(content, blockBytes);
    }

    public static ContentSum OfZeros(int blockBytes) => OfZerosBySize[System.Numerics.BitOperations.Log2((uint)blockBytes / BlockSize.Bytes)];

    /// <summary>Powers of two from 64 KiB to 1 MiB.</summary>
    public static bool IsBlockSize(int bytes) =>
        bytes is >= BlockSize.Bytes and <= BlockSize.Bytes << 4 && System.Numerics.BitOperations.IsPow2(bytes);

    public static ContentSum Read(ReadOnlySpan<byte> from) => new(BinaryPrimitives.ReadUInt128BigEndian(from));

    public void Write(Span<byte> to) => BinaryPrimitives.WriteUInt128BigEndian(to, Value);

    public override string ToString() => Value.ToString("x32", System.Globalization.CultureInfo.InvariantCulture);

    private static ContentSum Hash(ReadOnlySpan<byte> content)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(content, digest);
        return Read(digest);
    }

    private static ContentSum HashFilledUp(ReadOnlySpan<byte> content, int blockBytes)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(content);
        for (int left = blockBytes - content.Length; left > 0; left -= Zeros.Length)
        {
            hash.AppendData(Zeros.AsSpan(0, Math.Min(left, Zeros.Length)));
        }

        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        hash.GetHashAndReset(digest);
        return Read(digest);
    }
}
