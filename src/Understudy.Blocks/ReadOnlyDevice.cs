namespace Understudy.Blocks;

/// <summary>Refuses writes to the device below. Owns it: disposing closes both.</summary>
public sealed class ReadOnlyDevice(IBlockDevice inner) : IBlockDevice, IExtentSource
{
    private readonly IBlockDevice _inner = inner;

    public long SizeBytes => _inner.SizeBytes;

    public bool IsReadOnly => true;

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) =>
        _inner.ReadAsync(offsetBytes, buffer, cancellationToken);

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        throw Refused();

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw Refused();

    /// <summary>Nothing was written here, so there is nothing to flush.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        return _inner is IExtentSource source
            ? source.GetExtentsAsync(range, cancellationToken)
            : ValueTask.FromResult<IReadOnlyList<BlockExtent>>([new BlockExtent(range, ExtentKind.Data)]);
    }

    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    private static StorageException Refused() =>
        new(FaultKind.Denied, "disk", "the device is open for reading only");
}
