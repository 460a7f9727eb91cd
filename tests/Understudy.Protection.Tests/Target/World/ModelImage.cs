using Understudy.Protection.Ports;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>An image file. One without backing holds a disk; an overlay holds what was written to it, by block.</summary>
internal sealed class ModelImage(long sizeBytes, ImageBacking? backing)
{
    public const int BlockBytes = 64 * 1024;

    public long SizeBytes { get; } = sizeBytes;

    public ImageBacking? Backing { get; } = backing;

    public HashSet<string> Bitmaps { get; } = [];

    /// <summary>Only of an image without backing.</summary>
    public MemoryBlockDevice Disk { get; } = new(backing is null ? sizeBytes : 0);

    /// <summary>Only of an overlay.</summary>
    public SortedDictionary<long, byte> Written { get; } = [];

    public void Write(long block, byte pattern)
    {
        if (Backing is not null)
        {
            Written[block] = pattern;
            return;
        }

        byte[] content = new byte[BlockBytes];
        content.AsSpan().Fill(pattern);
        Disk.WriteAsync(block * BlockBytes, content, CancellationToken.None).AsTask().Wait();
    }
}
