using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal.Tests.Rig;

/// <summary>Base images that are read and never written.</summary>
internal sealed class UnwrittenBases(CrashDisk disk) : IBaseImages, IAsyncDisposable
{
    private readonly Dictionary<DiskId, UnwrittenDevice> _devices = [];

    public async ValueTask<IBlockDevice> OpenAsync(DiskGeometry geometry, bool readOnly, CancellationToken cancellationToken)
    {
        if (!_devices.TryGetValue(geometry.Disk, out UnwrittenDevice? device))
        {
            device = new UnwrittenDevice(await TryOpenAsync(geometry, cancellationToken), geometry.SizeBytes, "base");
            _devices.Add(geometry.Disk, device);
        }

        return new Handle(device);
    }

    /// <summary>Nothing is written.</summary>
    public ValueTask DeleteAsync(DiskId gone, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (UnwrittenDevice device in _devices.Values)
        {
            await device.DisposeAsync();
        }
    }

    private async ValueTask<IBlockDevice?> TryOpenAsync(DiskGeometry geometry, CancellationToken cancellationToken)
    {
        try
        {
            return await disk.OpenAsync(geometry, readOnly: true, cancellationToken);
        }
        catch (StorageException missing) when (missing.Kind == FaultKind.Missing)
        {
            return null;
        }
    }

    private sealed class Handle(UnwrittenDevice device) : IBlockDevice
    {
        public long SizeBytes => device.SizeBytes;

        public bool IsReadOnly => false;

        public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) => device.ReadAsync(offsetBytes, buffer, cancellationToken);

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => device.WriteAsync(offsetBytes, data, cancellationToken);

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => device.ZeroAsync(range, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken) => device.FlushAsync(cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
