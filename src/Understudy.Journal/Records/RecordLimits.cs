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

    public const int MaxTargetNameBytes = 64;

    internal static bool IsSectorRange(long offsetBytes, long lengthBytes) =>
        offsetBytes >= 0 && lengthBytes > 0 && offsetBytes <= MaxDiskBytes && lengthBytes <= MaxDiskBytes - offsetBytes
        && offsetBytes % SectorBytes == 0 && lengthBytes % SectorBytes == 0;

    internal static ByteRange BlockRange(long blockIndex) => new(blockIndex * BlockSize.Bytes, BlockSize.Bytes);
}
