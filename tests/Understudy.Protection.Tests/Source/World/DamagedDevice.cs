using Understudy.Blocks;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>A disk with one block that matches no sum.</summary>
internal sealed class DamagedDevice(IBlockDevice inner, int block) : IBlockDevice
{
    public long SizeBytes => inner.SizeBytes;

    public bool IsReadOnly => true;

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) =>
        new ByteRange(offsetBytes, buffer.Length).Overlaps(new ByteRange((long)block * BlockSize.Bytes, BlockSize.Bytes))
            ? throw new StorageException(FaultKind.Corrupt, "base", "the block does not match its sum")
            : inner.ReadAsync(offsetBytes, buffer, cancellationToken);

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask FlushAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
