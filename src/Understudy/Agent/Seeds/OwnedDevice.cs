using Understudy.Blocks;

namespace Understudy.Agent.Seeds;

/// <summary>A device that is only read, with what has to be ended after it.</summary>
internal sealed class OwnedDevice(IBlockDevice inner, IAsyncDisposable owner) : IBlockDevice, IExtentSource
{
    public long SizeBytes => inner.SizeBytes;

    public bool IsReadOnly => true;

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) => inner.ReadAsync(offsetBytes, buffer, cancellationToken);

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw Denied();

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw Denied();

    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>A device that cannot tell is data from end to end.</summary>
    public ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken) =>
        inner is IExtentSource extents ? extents.GetExtentsAsync(range, cancellationToken) : new([new BlockExtent(range, ExtentKind.Data)]);

    public async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await owner.DisposeAsync();
    }

    private static StorageException Denied() => new(FaultKind.Denied, "seed", "it is only read");
}
