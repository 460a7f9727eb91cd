using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Comparing;

/// <summary>A part of a disk whose blocks are compared. It begins at a block; its last one may be short.</summary>
public readonly record struct ComparedRange
{
    public ComparedRange(DiskId disk, ByteRange range, int blockBytes)
    {
        Invariant.Check(IsLawful(range.OffsetBytes, range.LengthBytes, blockBytes), $"{range} cannot be compared in blocks of {blockBytes} bytes");
        Disk = disk;
        Range = range;
        BlockBytes = blockBytes;
    }

    public DiskId Disk { get; }

    public ByteRange Range { get; }

    /// <summary>A power of two, 64 KiB to 1 MiB.</summary>
    public int BlockBytes { get; }

    public int Blocks => (int)((Range.LengthBytes + BlockBytes - 1) / BlockBytes);

    /// <summary>Asked before anything is read or kept for it.</summary>
    public static bool IsLawful(long offsetBytes, long lengthBytes, int blockBytes) =>
        ContentSum.IsBlockSize(blockBytes)
        && offsetBytes >= 0 && offsetBytes % blockBytes == 0
        && lengthBytes is > 0 and <= ProtocolLimits.ComparedBytes
        && offsetBytes <= RecordLimits.MaxDiskBytes - lengthBytes;
}
