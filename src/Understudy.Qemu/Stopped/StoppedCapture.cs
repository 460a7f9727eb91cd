using Understudy.Blocks;
using Understudy.Nbd;
using Understudy.Protection.Ports;

namespace Understudy.Qemu.Stopped;

/// <summary>The open disks; closing them ends the daemon. One caller opens and closes, reads may be many.</summary>
internal sealed class StoppedCapture(string? since, TimeProvider time, Func<ValueTask> stop) : ICapture
{
    /// <summary>A disk that hangs must not keep the failover that waits for its last change.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(60);

    private const string ContextPrefix = "qemu:dirty-bitmap:";

    private readonly Dictionary<string, NbdClient> _exports = new(StringComparer.Ordinal);
    private readonly List<CapturedDisk> _disks = [];
    private bool _closed;

    public IReadOnlyList<CapturedDisk> Disks => _disks;

    public DateTimeOffset CutAt { get; } = time.GetUtcNow();

    public async ValueTask AddAsync(StoppedDisk disk, string socket, CancellationToken cancellationToken)
    {
        NbdClientOptions options = new()
        {
            Export = disk.TargetDevice,
            Contexts = since is { } bitmap && disk.WantsChanges ? [ContextPrefix + bitmap] : [],
            Patience = new NbdPatience(Silence, time),
        };
        NbdClient export = await NbdClient.ConnectAsync(await NbdSocket.ConnectUnixAsync(socket, cancellationToken), options, cancellationToken);
        _exports[disk.TargetDevice] = export;
        if (options.Contexts.Any(context => !export.HasContext(context)))
        {
            throw new HypervisorException(HypervisorFault.TrackingLost, $"the changes of {disk.Path} since {since} are not shown");
        }

        _disks.Add(new CapturedDisk(disk.TargetDevice, export.SizeBytes, new ReadOnlyDevice(export)));
    }

    public async ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken)
    {
        Invariant.Check(since is not null, "changes were asked of disks that were opened without a since");
        ExtentSet dirty = await Explain(_exports[disk.TargetDevice].GetDirtyAsync(ContextPrefix + since, new ByteRange(0, disk.SizeBytes), cancellationToken));
        return [.. dirty];
    }

    public async ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken) =>
        await Explain(_exports[disk.TargetDevice].GetExtentsAsync(range, cancellationToken));

    public async ValueTask EndAsync(CancellationToken cancellationToken)
    {
        if (_closed)
        {
            return;
        }

        foreach (NbdClient export in _exports.Values)
        {
            await export.DisposeAsync();
        }

        await stop();
        _closed = true;
    }

    /// <summary>Never throws: what cannot be ended now is ended by whoever opens or starts next.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await EndAsync(CancellationToken.None);
        }
        catch (Exception left) when (left is UnderstudyException or IOException)
        {
            _closed = true;
        }
    }

    private static async ValueTask<T> Explain<T>(ValueTask<T> asking)
    {
        try
        {
            return await asking;
        }
        catch (StorageException failure)
        {
            throw new HypervisorException(HypervisorFault.Busy, $"the disks of the stopped VM cannot be read: {failure.Message}", failure.Remedy, failure);
        }
    }
}
