using System.Globalization;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Qemu.Native;

namespace Understudy.Qemu.Stopped;

/// <summary>
/// Disks of a VM that is off, through one storage daemon that opens the images read-only and shows their dirty bitmaps. It
/// holds QEMU's lock on them, so the VM cannot be started until it has ended; it is known by its name, so an agent that
/// died is followed by one that ends it.
/// </summary>
public sealed class StoppedDisks(IStorageDaemons daemons, IImageTool images, string runtimeFolder, TimeProvider time) : IStoppedDisks
{
    public async ValueTask<ICapture> OpenAsync(StoppedDisksRequest request, CancellationToken cancellationToken)
    {
        await Task.WhenAll(request.Disks.Select(disk => RequireTrackingAsync(request, disk, cancellationToken)));
        string name = NameOf(request.Vm);
        string socket = SocketOf(request.Vm);
        StorageDaemonSpec spec = new(
            name,
            socket,
            ForGuests: false,
            [.. request.Disks.Select(disk => new StorageExport(
                disk.TargetDevice, new StorageBacking.Image(disk.Path, disk.Format, PosixCalls.IsBlockDevice(disk.Path)), Writable: false, disk.WantsChanges ? request.Since : null))]);
        StoppedCapture capture = new(request.Since, time, () => daemons.StopAsync(name, socket, CancellationToken.None));
        try
        {
            await daemons.EnsureAsync(spec, cancellationToken);
            foreach (StoppedDisk disk in request.Disks)
            {
                await capture.AddAsync(disk, socket, cancellationToken);
            }

            return capture;
        }
        catch (Exception failure)
        {
            await capture.DisposeAsync();
            throw failure is ImageToolException or StorageException
                ? new HypervisorException(
                    HypervisorFault.Busy,
                    $"the disks of VM {request.Vm} cannot be read while it is off: {failure.Message}",
                    "See that no other program has the images open.",
                    failure)
                : failure;
        }
    }

    public ValueTask CloseStaleAsync(VmId vm, CancellationToken cancellationToken) =>
        daemons.StopAsync(NameOf(vm), SocketOf(vm), cancellationToken);

    /// <summary>A bitmap that is missing, or was not closed by a QEMU that ended well, does not say what changed.</summary>
    private async Task RequireTrackingAsync(StoppedDisksRequest request, StoppedDisk disk, CancellationToken cancellationToken)
    {
        if (request.Since is not { } since || !disk.WantsChanges)
        {
            return;
        }

        ImageFacts? image;
        try
        {
            image = await images.FindAsync(disk.Path, cancellationToken);
        }
        catch (ImageToolException unreadable)
        {
            throw new HypervisorException(HypervisorFault.Other, unreadable.Message, unreadable.Remedy, unreadable);
        }

        if (image?.Bitmaps.FirstOrDefault(bitmap => bitmap.Name == since) is not { Consistent: true })
        {
            throw new HypervisorException(
                HypervisorFault.TrackingLost,
                $"image {disk.Path} does not say what changed since {since}",
                "Nothing to do: the disks are compared once, and tracking begins anew.");
        }
    }

    private static string NameOf(VmId vm) => "stopped-" + vm.Value.ToString("N", CultureInfo.InvariantCulture);

    private string SocketOf(VmId vm) => Path.Combine(runtimeFolder, NameOf(vm) + ".sock");
}
