using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Libvirt.Capture;
using Understudy.Libvirt.Connection;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

/// <summary>
/// A libvirt host with QEMU behind it (docs/protocols/libvirt.md). Nothing is asked of libvirt before the first call, and
/// a connection that ends is opened again by the next one; <see cref="RunAsync"/> does that at once and keeps the events
/// coming. Calls may overlap: those that change one VM take turns, those on different VMs do not wait for each other.
/// A call that ran into its time limit, or whose token ended it, may still take effect in libvirt.
/// </summary>
public sealed partial class LibvirtHypervisor : IHypervisor, IVmEvents, IStartTrial, IAsyncDisposable
{
    /// <summary>One call to a pool and two to VMs that hang, and one that opens or closes a connection beside them.</summary>
    private const int StorageThreads = 4;

    private readonly LibvirtSettings _settings;
    private readonly TimeProvider _time;
    private readonly IIdSource _ids;
    private readonly IImageTool _images;
    private readonly ILogger _logger;
    private readonly LibvirtConnection _connection;

    /// <summary>One of its own for storage pools and the sizes of disks: while one call of a connection hangs, libvirt's client
    /// (9.0) may forget to send the next one.</summary>
    private readonly LibvirtConnection _storage;
    private readonly CaptureHost _captures;

    public LibvirtHypervisor(LibvirtSettings settings, TimeProvider time, IIdSource ids, IImageTool images, ILogger logger)
        : this(settings, settings, time, ids, images, logger)
    {
    }

    /// <param name="storage">Of the connection for storage pools.</param>
    internal LibvirtHypervisor(LibvirtSettings settings, LibvirtSettings storage, TimeProvider time, IIdSource ids, IImageTool images, ILogger logger)
    {
        _settings = settings;
        _time = time;
        _ids = ids;
        _images = images;
        _logger = logger;
        _connection = new LibvirtConnection(settings, time, logger);
        _storage = new LibvirtConnection(storage, time, logger, StorageThreads);
        _captures = new CaptureHost(_connection, settings, time, logger);
    }

    /// <summary>Keeps the connection alive until the token ends it; the owner awaits it.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => _connection.RunAsync(cancellationToken);

    public IAsyncEnumerable<VmEvent> WatchAsync(CancellationToken cancellationToken) => _connection.Events.WatchAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _storage.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
