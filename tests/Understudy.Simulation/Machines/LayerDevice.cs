using Understudy.Blocks;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>An image that stands alone, for reading.</summary>
internal sealed class LayerDevice(ModelImage image, SimProcess process) : IBlockDevice
{
    private readonly DiskImage _content = image.Layer;
    private readonly string _path = image.Path;
    private readonly SimProcess _process = process;

    public long SizeBytes => _content.SizeBytes;

    public bool IsReadOnly => true;

    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await _process.TakeTimeAsync(TimeSpan.FromMilliseconds(1));
        _content.Read(offsetBytes, buffer.Span);
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw ReadOnly();

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw ReadOnly();

    public ValueTask FlushAsync(CancellationToken cancellationToken) => default;

    public ValueTask DisposeAsync() => default;

    private StorageException ReadOnly() => new(FaultKind.Denied, _path, "is read-only");
}
