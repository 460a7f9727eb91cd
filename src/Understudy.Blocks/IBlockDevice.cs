namespace Understudy.Blocks;

/// <summary>
/// A disk: fixed size, random access. Ranges outside the size are a caller's bug and throw
/// <see cref="ArgumentOutOfRangeException"/>; faults of the device throw <see cref="StorageException"/>. Calls may
/// overlap; the order of overlapping writes to the same bytes is undefined. A write is durable only after a later
/// <see cref="FlushAsync"/> has returned; after a flush that threw, the device is dead and every later call throws.
/// </summary>
public interface IBlockDevice : IAsyncDisposable
{
    long SizeBytes { get; }

    bool IsReadOnly { get; }

    /// <summary>Fills the whole buffer.</summary>
    ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken);

    ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>Makes the range read as zeros, giving the space back where the device can.</summary>
    ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken);

    ValueTask FlushAsync(CancellationToken cancellationToken);
}

/// <summary>What a device knows of a range without reading it.</summary>
public enum ExtentKind
{
    Data,
    Zero,
    Hole,
}

public readonly record struct BlockExtent(ByteRange Range, ExtentKind Kind);

/// <summary>A device that can say which ranges hold data.</summary>
public interface IExtentSource
{
    /// <summary>Extents that cover <paramref name="range"/> completely, in order, without gaps; at least one.</summary>
    ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken);
}
