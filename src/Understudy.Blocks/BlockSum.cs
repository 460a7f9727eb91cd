using System.Buffers.Binary;
using System.Globalization;
using Understudy.Blocks.Native;

namespace Understudy.Blocks;

/// <summary>
/// The sum of one block of a base image: XXH3-128, seed 0, stored in xxHash's canonical (big-endian) form, so that
/// <c>xxhsum -H2</c> prints the same digits. Finds rot and mistakes at memory speed; anyone who wants to can forge it. The
/// all-zero value says "not yet known"; the one content in 2^128 that would hash to it gets 1 instead.
/// See docs/decisions/block-sums.md.
/// </summary>
public readonly record struct BlockSum(UInt128 Value)
{
    public const int SizeBytes = 16;

    /// <summary>Nobody has read this block yet; says nothing about its content.</summary>
    public static BlockSum Unknown => default;

    public bool IsKnown => Value != UInt128.Zero;

    public static BlockSum Of(ReadOnlySpan<byte> block)
    {
        UInt128 value = XxHashNative.Hash128(block);
        return new BlockSum(value == UInt128.Zero ? UInt128.One : value);
    }

    public static BlockSum Read(ReadOnlySpan<byte> source) => new(BinaryPrimitives.ReadUInt128BigEndian(source));

    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt128BigEndian(destination, Value);

    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}
