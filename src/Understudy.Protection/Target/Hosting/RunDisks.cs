using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target.Hosting;

/// <summary>
/// What stands between a view and a guest: one storage daemon a run, whose NBD nodes wait for the view server when it is
/// away, and a qcow2 overlay a disk that takes the guest's writes.
/// </summary>
internal sealed class RunDisks(ReplicaPlaces places, TargetServices services)
{
    public StorageDaemonSpec DaemonSpec(Guid run, RecoveryPointId point, IEnumerable<RunDisk> disks) => new(
        ReplicaPlaces.RunDaemon(run),
        places.RunSocket(run),
        ForGuests: true,
        [
            .. disks.Select(disk => new StorageExport(
                disk.TargetDevice,
                new StorageBacking.Nbd(places.ViewSocket, ViewExportName.For(point, disk.Disk), services.Settings.ReconnectDelay),
                Writable: false)),
        ]);

    public ValueTask<StorageDaemonFacts> EnsureDaemonAsync(Guid run, RecoveryPointId point, IReadOnlyList<RunDisk> disks, CancellationToken cancellationToken) =>
        services.Daemons.EnsureAsync(DaemonSpec(run, point, disks), cancellationToken);

    /// <summary>Starts a guest whose overlays stand on a daemon. One that died in that moment is replaced and the start tried
    /// once more: what somebody ordered must not fail because a process of ours did.</summary>
    public async ValueTask StartGuestAsync(WatchedGuest guest, CancellationToken cancellationToken)
    {
        StorageDaemonFacts before = await EnsureDaemonAsync(guest.Run, guest.Point, guest.Disks, cancellationToken);
        try
        {
            await services.Hypervisor.StartAsync(guest.Vm, cancellationToken);
        }
        catch (HypervisorException)
        {
            StorageDaemonFacts now = await EnsureDaemonAsync(guest.Run, guest.Point, guest.Disks, cancellationToken);
            if (now.ProcessId == before.ProcessId)
            {
                throw;
            }

            await services.Hypervisor.StartAsync(guest.Vm, cancellationToken);
        }
    }

    public ValueTask StopDaemonAsync(Guid run, CancellationToken cancellationToken) =>
        services.Daemons.StopAsync(ReplicaPlaces.RunDaemon(run), places.RunSocket(run), cancellationToken);

    /// <summary>Makes the overlays anew: nothing has been written to one that is made here. The daemon must run.</summary>
    /// <param name="bitmap">Change tracking from the first write on; null for none.</param>
    public async ValueTask MakeOverlaysAsync(Guid run, IReadOnlyList<RunDisk> disks, string? bitmap, CancellationToken cancellationToken)
    {
        foreach (RunDisk disk in disks)
        {
            await services.Images.DeleteAsync(disk.Overlay, cancellationToken);
            await services.Images.CreateOverlayAsync(disk.Overlay, new ImageBacking.Nbd(places.RunSocket(run), disk.TargetDevice), null, cancellationToken);
            if (bitmap is not null)
            {
                await services.Images.AddBitmapAsync(disk.Overlay, bitmap, cancellationToken);
            }
        }
    }

    /// <summary>Makes overlays anew over others, disk by disk; those are only read from now on. The daemon of those must run.</summary>
    public async ValueTask MakeOverlaysOverAsync(IReadOnlyList<RunDisk> below, IReadOnlyList<RunDisk> disks, CancellationToken cancellationToken)
    {
        foreach (RunDisk disk in disks)
        {
            string image = below.First(other => other.Disk == disk.Disk).Overlay;
            await services.Images.DeleteAsync(disk.Overlay, cancellationToken);
            await services.Images.CreateOverlayAsync(disk.Overlay, new ImageBacking.File(image, "qcow2"), null, cancellationToken);
        }
    }

    public async ValueTask DeleteOverlaysAsync(IEnumerable<RunDisk> disks, CancellationToken cancellationToken)
    {
        foreach (RunDisk disk in disks)
        {
            await services.Images.DeleteAsync(disk.Overlay, cancellationToken);
        }
    }
}
