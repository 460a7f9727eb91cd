using System.Buffers.Binary;
using System.Globalization;
using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Segments;

/// <summary>What is wrong with the first page of a file that should be a segment.</summary>
public enum SegmentDefect
{
    None = 0,

    /// <summary>Too short, no magic, or a wrong checksum: never finished, or damaged.</summary>
    Broken,
    UnknownVersion,

    /// <summary>Whole, but of another replica or with another number: a file in the wrong place.</summary>
    Foreign,
}

/// <summary>
/// The first page of a segment file (docs/formats/segment.md). It is a page of its own so that no append ever rewrites it.
/// </summary>
public sealed record SegmentHeader
{
    public const int SizeBytes = 4096;

    public const ushort Version = 1;

    private const int ChecksumAt = SizeBytes - 4;

    public required ReplicaId Replica { get; init; }

    public required ulong Number { get; init; }

    public required LineId Line { get; init; }

    public required ulong FirstSequence { get; init; }

    public DateTimeOffset CreatedAt { get; init; } = DateTimeOffset.UnixEpoch;

    private static ReadOnlySpan<byte> Magic => "UNDRSEGM"u8;

    /// <summary>The prefix is a folder with its slash, or a folder and the beginning of a file name.</summary>
    public static string NameOf(string prefix, ulong number) =>
        string.Create(CultureInfo.InvariantCulture, $"{prefix}{number:d16}.seg");

    /// <summary>The number in a segment's file name; false for any other file.</summary>
    public static bool TryParseName(string prefix, string name, out ulong number)
    {
        number = 0;
        return name.Length == prefix.Length + 20
            && name.StartsWith(prefix, StringComparison.Ordinal) && name.EndsWith(".seg", StringComparison.Ordinal)
            && ulong.TryParse(name.AsSpan(prefix.Length, 16), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    public void Write(Span<byte> target)
    {
        Span<byte> h = target[..SizeBytes];
        h.Clear();
        Magic.CopyTo(h);
        BinaryPrimitives.WriteUInt16LittleEndian(h[8..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(h[12..], SizeBytes);
        Invariant.Check(Replica.Value.TryWriteBytes(h[16..], bigEndian: true, out _), "an id has 16 bytes");
        BinaryPrimitives.WriteUInt64LittleEndian(h[32..], Number);
        BinaryPrimitives.WriteUInt32LittleEndian(h[40..], Line.Counter);
        BinaryPrimitives.WriteUInt128LittleEndian(h[48..], Line.Random);
        BinaryPrimitives.WriteUInt64LittleEndian(h[64..], FirstSequence);
        BinaryPrimitives.WriteInt64LittleEndian(h[72..], CreatedAt.ToUnixTimeMilliseconds());
        BinaryPrimitives.WriteUInt32LittleEndian(h[ChecksumAt..], Crc32C.Compute(h[..ChecksumAt]));
    }

    public static SegmentDefect Read(ReadOnlySpan<byte> source, out SegmentHeader? header)
    {
        header = null;
        if (source.Length < SizeBytes || !source.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumAt..]) != Crc32C.Compute(source[..ChecksumAt]))
        {
            return SegmentDefect.Broken;
        }

        // Flags belong to later versions (compacted segments): one that is set means more than this version knows.
        if (BinaryPrimitives.ReadUInt16LittleEndian(source[8..]) != Version || BinaryPrimitives.ReadUInt16LittleEndian(source[10..]) != 0)
        {
            return SegmentDefect.UnknownVersion;
        }

        header = new SegmentHeader
        {
            Replica = new ReplicaId(new Guid(source.Slice(16, 16), bigEndian: true)),
            Number = BinaryPrimitives.ReadUInt64LittleEndian(source[32..]),
            Line = new LineId(BinaryPrimitives.ReadUInt32LittleEndian(source[40..]), BinaryPrimitives.ReadUInt128LittleEndian(source[48..])),
            FirstSequence = BinaryPrimitives.ReadUInt64LittleEndian(source[64..]),
            CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(BinaryPrimitives.ReadInt64LittleEndian(source[72..])),
        };
        return SegmentDefect.None;
    }
}
