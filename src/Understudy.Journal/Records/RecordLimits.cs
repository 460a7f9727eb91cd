using System.Buffers;
using Understudy.Blocks;

namespace Understudy.Journal.Records;

/// <summary>The numbers that bound every record; each is checked before anything is allocated or trusted.</summary>
public static class RecordLimits
{
    /// <summary>Offsets and lengths on a disk are whole sectors.</summary>
    public const int SectorBytes = 512;

    /// <summary>Payload of one record. 1 MiB keeps a record in one pooled buffer and a bad one cheap to refuse.</summary>
    public const int MaxPayloadBytes = 1024 * 1024;

    public const int MaxRecordBytes = RecordHeader.SizeBytes + MaxPayloadBytes;

    /// <summary>What a data record decodes to.</summary>
    public const int MaxDataBytes = 1024 * 1024;

    /// <summary>Larger than any disk QEMU makes, small enough that sums of offsets never overflow.</summary>
    public const long MaxDiskBytes = 1L << 53;

    /// <summary>Disks of one VM; libvirt's virtio and SCSI controllers end long before.</summary>
    public const int MaxDisks = 256;

    public const int MaxLabelBytes = 256;

    public const int MaxTargetNameBytes = 16;

    private static readonly SearchValues<byte> TargetNameBytes = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789"u8);

    internal static bool IsSectorRange(long offsetBytes, long lengthBytes) =>
        offsetBytes >= 0 && lengthBytes > 0 && offsetBytes <= MaxDiskBytes && lengthBytes <= MaxDiskBytes - offsetBytes
        && offsetBytes % SectorBytes == 0 && lengthBytes % SectorBytes == 0;

    /// <summary>
    /// A guest device name: a lower-case letter, then up to fifteen lower-case letters and digits. It comes from another
    /// host and becomes part of file names, so nothing that a path could mean may get through.
    /// </summary>
    internal static bool IsTargetName(ReadOnlySpan<byte> name) =>
        name.Length is > 0 and <= MaxTargetNameBytes && char.IsAsciiLetterLower((char)name[0]) && !name.ContainsAnyExcept(TargetNameBytes);

    internal static ByteRange BlockRange(long blockIndex) => new(blockIndex * BlockSize.Bytes, BlockSize.Bytes);
}
