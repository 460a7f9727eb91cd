using Understudy.Blocks;

namespace Understudy.Nbd.Tests.Peers;

/// <summary>A disk whose every write and flush fails in one way, and whose reads are zeros.</summary>
internal sealed class FailingDevice(FaultKind kind) : IBlockDevice
{
    public long SizeBytes => 1024 * 1024;

    public bool IsReadOnly => false;

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        buffer.Span.Clear();
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw Fault();

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw Fault();

    public ValueTask FlushAsync(CancellationToken cancellationToken) => throw Fault();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private StorageException Fault() => new(kind, "failing disk", "as the test wants it");
}
