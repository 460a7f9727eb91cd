using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Nbd;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Standalone;

/// <summary>
/// Base images for reading only. A batch of an apply that was cut short is done again over them in memory: each disk has
/// one device for as long as this object lives, so what was redone stays.
/// </summary>
internal sealed class StandaloneImages(ReplicaPlaces places, IImageReader images, IImageTool tool) : IBaseImages, IAsyncDisposable
{
    private const string Format = "qcow2";

    private readonly AsyncGate _gate = new();
    private readonly SortedDictionary<DiskId, UnwrittenDevice> _devices = [];
    private readonly List<IAsyncDisposable> _servers = [];

    public async ValueTask<IBlockDevice> OpenAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (!_devices.TryGetValue(disk.Disk, out UnwrittenDevice? device))
        {
            device = new UnwrittenDevice(await OpenBelowAsync(disk, readOnly, cancellationToken), disk.SizeBytes, $"base image of disk {disk.Target}");
            _devices.Add(disk.Disk, device);
        }

        return new Handle(device);
    }

    /// <summary>Nothing is written: the agent does it when it opens the replica again.</summary>
    public ValueTask DeleteAsync(DiskId disk, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (UnwrittenDevice device in _devices.Values)
        {
            await device.DisposeAsync();
        }

        foreach (IAsyncDisposable server in _servers)
        {
            await server.DisposeAsync();
        }
    }

    /// <summary>Null for a disk that the interrupted batch was the first to write.</summary>
    private async ValueTask<IBlockDevice?> OpenBelowAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken)
    {
        string path = places.BaseImage(disk);
        if (await tool.FindAsync(path, cancellationToken) is null)
        {
            return readOnly
                ? throw new StorageException(FaultKind.Missing, path, "the base image is missing", "Bring it back to this place, or say where the images are (--images FOLDER, of a seed --seed-images FOLDER).")
                : null;
        }

        ServedImage image = await images.OpenAsync(path, Format, cancellationToken);
        _servers.Add(image.Server);
        return await NbdClient.ConnectAsync(image.Stream, new NbdClientOptions { Export = "" }, cancellationToken);
    }

    /// <summary>The replica closes and opens its images as it likes.</summary>
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
