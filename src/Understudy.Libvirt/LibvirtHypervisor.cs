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
    private readonly LibvirtSettings _settings;
    private readonly TimeProvider _time;
    private readonly IIdSource _ids;
    private readonly IImageTool _images;
    private readonly ILogger _logger;
    private readonly LibvirtConnection _connection;
    private readonly CaptureHost _captures;

    public LibvirtHypervisor(LibvirtSettings settings, TimeProvider time, IIdSource ids, IImageTool images, ILogger logger)
    {
        _settings = settings;
        _time = time;
        _ids = ids;
        _images = images;
        _logger = logger;
        _connection = new LibvirtConnection(settings, time, logger);
        _captures = new CaptureHost(_connection, settings, logger);
    }

    /// <summary>Keeps the connection alive until the token ends it; the owner awaits it.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => _connection.RunAsync(cancellationToken);

    public IAsyncEnumerable<VmEvent> WatchAsync(CancellationToken cancellationToken) => _connection.Events.WatchAsync(cancellationToken);

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
