using Understudy.Blocks;

namespace Understudy.Testing.Devices;

/// <summary>
/// A disk in memory without faults, complete before each call returns. Knows which parts were ever written, so it answers
/// extents like a sparse file. Safe for concurrent use.
/// </summary>
public sealed class MemoryBlockDevice : IBlockDevice, IExtentSource
{
    private readonly Lock _lock = new();
    private readonly byte[] _content;
    private readonly ExtentSet _written = new();
    private bool _closed;

    public MemoryBlockDevice(long sizeBytes, bool isReadOnly = false)
    {
        _content = new byte[sizeBytes];
        IsReadOnly = isReadOnly;
    }

    /// <summary>A disk with this content; the array is taken, not copied.</summary>
    public MemoryBlockDevice(byte[] content, bool isReadOnly = false)
    {
        _content = content;
        IsReadOnly = isReadOnly;
        _written.Add(new ByteRange(0, content.Length));
    }

    public long SizeBytes => _content.Length;

    public bool IsReadOnly { get; }

    public int FlushCount { get; private set; }

    /// <summary>The live content, for comparing after the device has come to rest.</summary>
    public ReadOnlyMemory<byte> Content => _content;

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            ThrowIfClosed();
            _content.AsSpan((int)offsetBytes, buffer.Length).CopyTo(buffer.Span);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        ThrowIfReadOnly();
        DeviceRange.Check(SizeBytes, offsetBytes, data.Length);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            ThrowIfClosed();
            data.Span.CopyTo(_content.AsSpan((int)offsetBytes));
            _written.Add(new ByteRange(offsetBytes, data.Length));
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken)
    {
        ThrowIfReadOnly();
        DeviceRange.Check(SizeBytes, range);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            ThrowIfClosed();
            _content.AsSpan((int)range.OffsetBytes, (int)range.LengthBytes).Clear();
            _written.Remove(range);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            ThrowIfClosed();
            FlushCount++;
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        cancellationToken.ThrowIfCancellationRequested();
        List<BlockExtent> extents = [];
        lock (_lock)
        {
            ThrowIfClosed();
            long at = range.OffsetBytes;
            foreach (ByteRange data in _written.Intersect(range))
            {
                if (data.OffsetBytes > at)
                {
                    extents.Add(new BlockExtent(ByteRange.FromTo(at, data.OffsetBytes), ExtentKind.Hole));
                }

                extents.Add(new BlockExtent(data, ExtentKind.Data));
                at = data.EndBytes;
            }

            if (at < range.EndBytes || extents.Count == 0)
            {
                extents.Add(new BlockExtent(ByteRange.FromTo(at, range.EndBytes), ExtentKind.Hole));
            }
        }

        return ValueTask.FromResult<IReadOnlyList<BlockExtent>>(extents);
    }

    /// <summary>The content stays readable through <see cref="Content"/>.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _closed = true;
        }

        return ValueTask.CompletedTask;
    }

    private void ThrowIfClosed()
    {
        if (_closed)
        {
            throw new StorageException(FaultKind.Closed, "memory disk", "it is closed");
        }
    }

    private void ThrowIfReadOnly()
    {
        if (IsReadOnly)
        {
            throw new StorageException(FaultKind.Denied, "memory disk", "the device is open for reading only");
        }
    }
}
