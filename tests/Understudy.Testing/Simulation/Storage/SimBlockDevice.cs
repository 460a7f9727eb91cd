using Understudy.Blocks;

namespace Understudy.Testing.Simulation.Storage;

/// <summary>A base image or a VM's disk on a <see cref="SimDisk"/>, with the same faults as its files.</summary>
internal sealed class SimBlockDevice(SimDisk disk, SimProcess process, string path, SimContent content, bool readOnly) : IBlockDevice
{
    private readonly SimHandle _handle = new(disk, process, path, content);
    private readonly string _path = path;

    public long SizeBytes { get; } = content.LengthBytes;

    public bool IsReadOnly { get; } = readOnly;

    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        CheckRange(new ByteRange(offsetBytes, buffer.Length));
        await _handle.ReadAsync(offsetBytes, buffer, cancellationToken);
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        CheckWritable(new ByteRange(offsetBytes, data.Length));
        return _handle.WriteAsync(offsetBytes, data, cancellationToken);
    }

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken)
    {
        CheckWritable(range);
        return _handle.ChangeAsync("zero", 0, content => content.Zero(range.OffsetBytes, range.LengthBytes), cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => _handle.FlushAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        _handle.Close();
        return ValueTask.CompletedTask;
    }

    private void CheckWritable(ByteRange range)
    {
        CheckRange(range);
        if (IsReadOnly)
        {
            throw new StorageException(FaultKind.Denied, _path, "opened for reading only");
        }
    }

    private void CheckRange(ByteRange range)
    {
        if (range.OffsetBytes < 0 || range.LengthBytes < 0 || range.EndBytes > SizeBytes)
        {
            throw new ArgumentOutOfRangeException(nameof(range), range, $"outside of {_path} with {SizeBytes} bytes");
        }
    }
}
