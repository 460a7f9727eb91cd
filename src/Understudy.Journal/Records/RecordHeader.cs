using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Records;

/// <summary>
/// The 80 bytes in front of every record, in the journal, in the source's spool and on the wire alike. Layout:
/// docs/formats/record.md. Header and payload have checksums of their own, so that the length is trusted before the
/// payload has arrived.
/// </summary>
public readonly record struct RecordHeader
{
    public const int SizeBytes = 80;

    public const ushort Version = 1;

    private const uint Magic = 0x3152_5355; // "USR1"
    private const int ChecksumAt = 76;

    public required RecordKind Kind { get; init; }

    public RecordEncoding Encoding { get; init; }

    /// <summary>The disk a data or zero record belongs to; the part a definition record carries (0 is the domain XML).</summary>
    public DiskId Disk { get; init; }

    public required LineId Line { get; init; }

    /// <summary>One more than the record before; the first record of a replica has 1.</summary>
    public required ulong Sequence { get; init; }

    public long OffsetBytes { get; init; }

    /// <summary>Data and zero: the range on the disk. Others: the size of the decoded body.</summary>
    public long LengthBytes { get; init; }

    public int PayloadBytes { get; init; }

    public uint PayloadChecksum { get; init; }

    public ByteRange Range => new(OffsetBytes, LengthBytes);

    public int RecordBytes => SizeBytes + PayloadBytes;

    /// <summary>Whether the record changes bytes of a disk.</summary>
    public bool IsExtent => Kind is RecordKind.Data or RecordKind.Zero;

    /// <summary>The point this record is, when it is a checkpoint.</summary>
    public RecoveryPointId PointId => new(Line, Sequence);

    /// <summary>Writes the header with its checksum into the first <see cref="SizeBytes"/> bytes.</summary>
    public void Write(Span<byte> target)
    {
        Span<byte> h = target[..SizeBytes];
        h.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(h, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(h[4..], Version);
        h[6] = (byte)Kind;
        h[7] = (byte)Encoding;
        BinaryPrimitives.WriteUInt16LittleEndian(h[10..], Disk.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(h[12..], Line.Counter);
        BinaryPrimitives.WriteUInt128LittleEndian(h[16..], Line.Random);
        BinaryPrimitives.WriteUInt64LittleEndian(h[32..], Sequence);
        BinaryPrimitives.WriteInt64LittleEndian(h[40..], OffsetBytes);
        BinaryPrimitives.WriteInt64LittleEndian(h[48..], LengthBytes);
        BinaryPrimitives.WriteInt32LittleEndian(h[56..], PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(h[60..], PayloadChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(h[ChecksumAt..], Crc32C.Compute(h[..ChecksumAt]));
    }

    /// <summary>Reads and checks a header; on anything but <see cref="RecordDefect.None"/> the header is not to be used.</summary>
    public static RecordDefect Read(ReadOnlySpan<byte> source, out RecordHeader header)
    {
        header = default;
        if (source.Length < SizeBytes)
        {
            return RecordDefect.TooShort;
        }

        ReadOnlySpan<byte> h = source[..SizeBytes];
        if (BinaryPrimitives.ReadUInt32LittleEndian(h) != Magic)
        {
            return RecordDefect.BadMagic;
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(h[ChecksumAt..]) != Crc32C.Compute(h[..ChecksumAt]))
        {
            return RecordDefect.BadHeaderChecksum;
        }

        if (BinaryPrimitives.ReadUInt16LittleEndian(h[4..]) != Version)
        {
            return RecordDefect.UnknownVersion;
        }

        header = new RecordHeader
        {
            Kind = (RecordKind)h[6],
            Encoding = (RecordEncoding)h[7],
            Disk = new DiskId(BinaryPrimitives.ReadUInt16LittleEndian(h[10..])),
            Line = new LineId(BinaryPrimitives.ReadUInt32LittleEndian(h[12..]), BinaryPrimitives.ReadUInt128LittleEndian(h[16..])),
            Sequence = BinaryPrimitives.ReadUInt64LittleEndian(h[32..]),
            OffsetBytes = BinaryPrimitives.ReadInt64LittleEndian(h[40..]),
            LengthBytes = BinaryPrimitives.ReadInt64LittleEndian(h[48..]),
            PayloadBytes = BinaryPrimitives.ReadInt32LittleEndian(h[56..]),
            PayloadChecksum = BinaryPrimitives.ReadUInt32LittleEndian(h[60..]),
        };
        ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(h[8..]);
        bool reservedIsZero = h[64..ChecksumAt].IndexOfAnyExcept((byte)0) < 0;
        return flags != 0 || !reservedIsZero ? RecordDefect.UnknownFlags : header.FindBadField();
    }

    /// <summary>Whether the payload is the one the header was made for.</summary>
    public bool Matches(ReadOnlySpan<byte> payload) =>
        payload.Length == PayloadBytes && Crc32C.Compute(payload) == PayloadChecksum;

    private RecordDefect FindBadField()
    {
        if (!Enum.IsDefined(Kind))
        {
            return RecordDefect.UnknownKind;
        }

        if (!Enum.IsDefined(Encoding))
        {
            return RecordDefect.UnknownEncoding;
        }

        bool stored = Encoding switch
        {
            RecordEncoding.Raw => PayloadBytes == LengthBytes,
            _ => PayloadBytes < LengthBytes, // "stored raw when not smaller"
        };
        bool fits = Kind switch
        {
            RecordKind.Data => RecordLimits.IsSectorRange(OffsetBytes, LengthBytes)
                && LengthBytes <= RecordLimits.MaxDataBytes && PayloadBytes > 0 && stored,
            RecordKind.Zero => RecordLimits.IsSectorRange(OffsetBytes, LengthBytes)
                && PayloadBytes == 0 && Encoding == RecordEncoding.Raw,
            _ => OffsetBytes == 0 && LengthBytes is > 0 and <= RecordLimits.MaxDataBytes && PayloadBytes > 0 && stored,
        };
        bool placed = Sequence > 0 && Sequence < long.MaxValue && Line != LineId.None
            && PayloadBytes <= RecordLimits.MaxPayloadBytes && (IsExtent || Kind == RecordKind.Definition || Disk.Value == 0);
        return fits && placed ? RecordDefect.None : RecordDefect.BadField;
    }
}
