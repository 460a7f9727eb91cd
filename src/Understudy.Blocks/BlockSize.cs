namespace Understudy.Blocks;

/// <summary>The one block size of the data plane. Change tracking (a qcow2 cluster), base checksums, pre-images and
/// data records all use it, so that no step ever has to split or join another step's unit.</summary>
public static class BlockSize
{
    /// <summary>64 KiB: the default qcow2 cluster and dirty-bitmap granularity of libvirt's checkpoints.</summary>
    public const int Bytes = 64 * 1024;

    /// <summary>The last block of a disk may be shorter than <see cref="Bytes"/>; it still counts as one.</summary>
    public static long CountFor(long sizeBytes) => (sizeBytes + Bytes - 1) / Bytes;
}
