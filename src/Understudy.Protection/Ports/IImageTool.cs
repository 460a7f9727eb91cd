namespace Understudy.Protection.Ports;

/// <summary>Making and looking at image files (qemu-img). Paths are absolute. Faults throw <see cref="ImageToolException"/>.</summary>
public interface IImageTool
{
    /// <summary>An empty image, durable when this returns. Makes the folder above where missing; refuses when the file exists.</summary>
    ValueTask CreateAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken);

    /// <summary>Makes an image longer; the new part reads as zeros. Durable when this returns. Nobody may have it open.</summary>
    ValueTask GrowAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken);

    /// <summary>An empty qcow2 over a backing image; refuses when the file exists.</summary>
    /// <param name="shape">Null: as the backing, which must be reachable.</param>
    ValueTask CreateOverlayAsync(string path, ImageBacking backing, OverlayShape? shape, CancellationToken cancellationToken);

    /// <summary>Adds an enabled, persistent dirty bitmap with 64 KiB granularity; no error when it is there already.</summary>
    ValueTask AddBitmapAsync(string path, string bitmap, CancellationToken cancellationToken);

    /// <summary>No error when the image or the bitmap does not exist.</summary>
    ValueTask RemoveBitmapAsync(string path, string bitmap, CancellationToken cancellationToken);

    /// <summary>Null when there is no such file. Reads beside a running QEMU, so what it says can be a moment old.</summary>
    ValueTask<ImageFacts?> FindAsync(string path, CancellationToken cancellationToken);

    /// <summary>Copies the content of an NBD export to a new image, without the parts that are zero.</summary>
    ValueTask ConvertFromNbdAsync(string socketPath, string exportName, string path, string format, CancellationToken cancellationToken);

    /// <summary>Copies what an image and all that it stands on read as to a new image, without the parts that are zero. Nobody
    /// may be writing to it.</summary>
    ValueTask ConvertFromFileAsync(string source, string sourceFormat, string path, string format, CancellationToken cancellationToken);

    /// <summary>No error when the file does not exist. Of a link only the link goes.</summary>
    ValueTask DeleteAsync(string path, CancellationToken cancellationToken);

    /// <summary>The file or device that links lead to in the end, those of the folders above as well; the path itself when there is none.</summary>
    ValueTask<string> FollowAsync(string path, CancellationToken cancellationToken);

    /// <summary>Image files in a folder, full paths in ordinal order; empty when the folder is missing.</summary>
    ValueTask<IReadOnlyList<string>> ListAsync(string folder, CancellationToken cancellationToken);

    /// <summary>With the folders above it. Others may pass through it but not list it: what is in it is given out one by one.</summary>
    ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken);

    /// <summary>No error when it is missing or not empty: others may keep files there.</summary>
    ValueTask DeleteFolderIfEmptyAsync(string folder, CancellationToken cancellationToken);

    /// <summary>Space that can still be written in the folder's file system.</summary>
    ValueTask<long> GetFreeBytesAsync(string folder, CancellationToken cancellationToken);
}

/// <summary>Under an overlay.</summary>
public abstract record ImageBacking
{
    private ImageBacking()
    {
    }

    public sealed record Nbd(string SocketPath, string ExportName) : ImageBacking;

    public sealed record File(string Path, string Format) : ImageBacking;
}

/// <param name="SizeBytes">The backing's size, so that nobody need ask there.</param>
/// <param name="ClusterBytes">The unit in which it takes over from the backing.</param>
public sealed record OverlayShape(long SizeBytes, int ClusterBytes);

/// <param name="AllocatedBytes">What it takes on disk.</param>
/// <param name="Backing">Backing file as the image names it; null when it stands alone.</param>
public sealed record ImageFacts(string Format, long SizeBytes, long AllocatedBytes, string? Backing, IReadOnlyList<ImageBitmap> Bitmaps);

public sealed record ImageBitmap(string Name, bool Enabled, bool Consistent);
