using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;

namespace Understudy.Simulation.Machines;

/// <summary>
/// An image file of a host. An overlay holds the blocks that were written to it; what it does not hold is below it. The
/// content of a replica's base image is a file of the host's disk, with all its faults, until a running VM has taken it
/// over; everything else is as durable as a guest that flushes after each write makes it.
/// </summary>
internal sealed class ModelImage(string path, string format, long sizeBytes, ImageBacking? backing)
{
    public string Path { get; } = path;

    public string Format { get; } = format;

    public long SizeBytes { get; private set; } = sizeBytes;

    public ImageBacking? Backing { get; } = backing;

    /// <summary>What this layer holds itself; a hole is a block it does not hold.</summary>
    public DiskImage Layer { get; private set; } = new(sizeBytes);

    /// <summary>Content is a file of the host's disk.</summary>
    public bool IsOnDisk { get; init; }

    /// <summary>Taken over from the host's disk by the VM that runs on it.</summary>
    public bool IsAdopted { get; private set; }

    /// <summary>What a reader of the whole image must see, kept by whoever knows: the checkers, not the image.</summary>
    public DiskImage? Expected { get; set; }

    /// <summary>Change tracking by name, and whether it can be trusted: a QEMU that was killed has not written it.</summary>
    public SortedDictionary<string, bool> Bitmaps { get; } = new(StringComparer.Ordinal);

    public long AllocatedBytes => Enumerable.Range(0, Layer.BlockCount).Count(block => !Layer.IsHole(block)) * (long)BlockSize.Bytes;

    public string DiskFile => Path.TrimStart('/');

    public void Grow(long toBytes) => (SizeBytes, Layer) = (toBytes, Layer.Grown(toBytes));

    /// <summary>From now on the content is what the VM has there.</summary>
    public void Adopt(DiskImage content)
    {
        IsAdopted = true;
        Layer = content;
    }
}
