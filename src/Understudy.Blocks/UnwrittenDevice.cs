using Understudy.Blocks.Storage;

namespace Understudy.Blocks;

/// <summary>
/// A device that is read and never written: writes are kept in memory and forgotten with this object. It may be larger than
/// the one below, whose end then goes on with zeros. Owns the one below; none at all reads as zeros.
/// </summary>
public sealed class UnwrittenDevice : IBlockDevice
{
    private readonly IBlockDevice? _below;
    private readonly MemoryPages _pages;

    public UnwrittenDevice(IBlockDevice? below, long sizeBytes, string what)
    {
        _below = below;
        SizeBytes = sizeBytes;
        _pages = new MemoryPages(ReadBelowAsync, what);
    }

    public long SizeBytes { get; }

    public bool IsReadOnly => false;

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
        return _pages.ReadAsync(offsetBytes, buffer, cancellationToken);
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, data.Length);
        return _pages.WriteAsync(offsetBytes, data, cancellationToken);
    }

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        return _pages.ZeroAsync(range.OffsetBytes, range.LengthBytes, cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _below?.DisposeAsync() ?? default;

    private async ValueTask ReadBelowAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int there = (int)Math.Clamp((_below?.SizeBytes ?? 0) - offset, 0, buffer.Length);
        if (there > 0)
        {
            await _below!.ReadAsync(offset, buffer[..there], cancellationToken); // there is 0 without one
        }

        buffer[there..].Span.Clear();
    }
}
