using Understudy.Blocks.Identity;
using Understudy.Protection.Durable;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target.Mounts;

/// <summary>Making and taking away what a mount consists of. Each removal is content with a thing that is not there.</summary>
internal sealed partial class MountRuns
{
    /// <summary>A guest that listens lets go in a fraction of it; for one that does not, the housekeeping waits.</summary>
    private static readonly TimeSpan LetGoWithin = TimeSpan.FromSeconds(3);

    private async ValueTask<MountRecord> MakeAsync(MountRecord mount, CancellationToken cancellationToken)
    {
        if (mount.Branch is null)
        {
            await context.Pins.AddAsync(mount.Id, mount.Point, $"mount {mount.Id}", cancellationToken);
        }

        await HoldAsync(mount, serve: mount.ToVm is not null, cancellationToken);
        await MakeOverlaysAsync(mount, cancellationToken);
        if (mount.ToVm is { } vm)
        {
            return await AttachAsync(mount, vm, cancellationToken);
        }

        IReadOnlyList<string> devices = await context.Services.Devices.EnsureAsync(DevicesOf(mount), cancellationToken);
        return WithDevices(mount, devices);
    }

    /// <summary>Each disk's name is durable before it is plugged in, so that an agent that starts anew knows what to pull.</summary>
    private async ValueTask<MountRecord> AttachAsync(MountRecord mount, VmId vm, CancellationToken cancellationToken)
    {
        string live = await context.Services.Hypervisor.GetDefinitionAsync(vm, DefinitionKind.Live, cancellationToken);
        AttachedDisks plan = AttachedDisks.Plan(live, mount);
        await SaveAsync(mount = WithDevices(mount, plan.Devices), cancellationToken);
        foreach (string disk in plan.Definitions)
        {
            await context.Services.Hypervisor.AttachDiskAsync(vm, disk, cancellationToken);
        }

        return mount;
    }

    /// <exception cref="RefusedException">A device is in use; the mount stands as before.</exception>
    /// <returns>What it still waits for; null when it is gone.</returns>
    private async ValueTask<string?> RequireRemovedAsync(MountRecord mount, CancellationToken cancellationToken)
    {
        string? waiting = await TryRemoveAsync(mount, cancellationToken);
        return waiting is not null && mount.ToVm is null
            ? throw new RefusedException(RefusalCode.Busy, $"{waiting}.", "End that use (umount, or what it is), then unmount again.")
            : waiting;
    }

    /// <returns>What it waits for; null when it is gone.</returns>
    private async ValueTask<string?> TryRemoveAsync(MountRecord mount, CancellationToken cancellationToken)
    {
        string? waiting = mount.ToVm is { } vm
            ? await PullAsync(mount, vm, cancellationToken)
            : await context.Services.Devices.TryRemoveAsync(DevicesOf(mount), cancellationToken);
        if (waiting is not null)
        {
            return waiting;
        }

        await SaveAsync(mount = mount with { Step = MountStep.Removing }, cancellationToken);
        await LetGoAsync(mount, cancellationToken);
        await context.RunDisks.DeleteOverlaysAsync(OverlaysOf(mount), cancellationToken);
        await context.Pins.RemoveAsync(mount.Id, cancellationToken);
        await DurableDocument<MountRecord>.DeleteAsync(context.State, RunFiles.Mount(mount.Id), cancellationToken);
        _mounts.Remove(mount.Id);
        Current = [.. _mounts.Values];
        Log.Unmounted(context.Logger, context.Vm, mount.Id);
        return null;
    }

    /// <summary>The guest is asked to let go; a VM that is off has let go.</summary>
    private async ValueTask<string?> PullAsync(MountRecord mount, VmId vm, CancellationToken cancellationToken)
    {
        await SaveAsync(mount = mount with { Step = MountStep.Removing }, cancellationToken);
        long began = context.Services.Time.GetTimestamp();
        IReadOnlyList<PluggedDisk> left = await PluggedAsync(mount, vm, cancellationToken);
        foreach (PluggedDisk disk in left)
        {
            await context.Services.Hypervisor.RequestDetachAsync(vm, disk.Alias, cancellationToken);
        }

        while (left.Count > 0 && context.Services.Time.GetElapsedTime(began) < LetGoWithin)
        {
            await Task.Delay(context.Services.Settings.JobPollEvery, context.Services.Time, cancellationToken);
            left = await PluggedAsync(mount, vm, cancellationToken);
        }

        return left.Count == 0
            ? null
            : $"disk {string.Join(", ", left.Select(disk => disk.Name))} of VM {mount.ToVmName}: its guest has not let go of it yet; it is gone as soon as the guest does, or is shut down";
    }

    /// <summary>Those of our disks that the running VM has.</summary>
    private async ValueTask<IReadOnlyList<PluggedDisk>> PluggedAsync(MountRecord mount, VmId vm, CancellationToken cancellationToken)
    {
        try
        {
            return AttachedDisks.Find(await context.Services.Hypervisor.GetDefinitionAsync(vm, DefinitionKind.Live, cancellationToken), mount);
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NoSuchVm or HypervisorFault.NotRunning)
        {
            return [];
        }
    }

    /// <summary>An attachment that stood is over when the VM has been shut down: it was never in its definition.</summary>
    private async ValueTask<bool> IsOverAsync(MountRecord mount, CancellationToken cancellationToken) =>
        mount.ToVm is { } vm && (await PluggedAsync(mount, vm, cancellationToken)).Count == 0;

    private async ValueTask ShowAgainAsync(MountRecord mount, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> devices = await context.Services.Devices.EnsureAsync(DevicesOf(mount), cancellationToken);
        if (!devices.SequenceEqual(mount.Disks.Select(disk => disk.Device)))
        {
            await SaveAsync(WithDevices(mount, devices), cancellationToken);
        }
    }

    /// <summary>What is below is served from now on: views of the point, or the branch.</summary>
    private async ValueTask HoldAsync(MountRecord mount, bool serve, CancellationToken cancellationToken)
    {
        string what = mount.ToVm is null ? $"mount {mount.Id}" : $"VM {mount.ToVmName} (attachment {mount.Id})";
        if (mount.Branch is { } branch)
        {
            await context.Branches.UseAsync(branch, new BranchUse(mount.Id, what), serve, cancellationToken);
            return;
        }

        context.Views.Hold(mount.Id, mount.Point, $"point {mount.Point} is given out: {what} (understudy point unmount ends it)");
        if (serve)
        {
            await context.RunDisks.EnsureDaemonAsync(mount.Id, mount.Point, OverlaysOf(mount), cancellationToken);
        }
    }

    private async ValueTask LetGoAsync(MountRecord mount, CancellationToken cancellationToken)
    {
        if (mount.Branch is { } branch)
        {
            await context.Branches.LeaveAsync(branch, mount.Id, cancellationToken);
            return;
        }

        await context.RunDisks.StopDaemonAsync(mount.Id, cancellationToken);
        context.Views.Release(mount.Id);
    }

    private async ValueTask MakeOverlaysAsync(MountRecord mount, CancellationToken cancellationToken)
    {
        IReadOnlyList<RunDisk>? branch = mount.Branch is { } id ? context.Branches.Find(id).Disks : null;
        foreach (MountDisk disk in mount.Disks)
        {
            if (disk.Overlay is { } overlay)
            {
                ImageBacking below = branch?.First(other => other.Disk == disk.Disk) is { } kept
                    ? new ImageBacking.File(kept.Overlay, "qcow2")
                    : new ImageBacking.Nbd(context.Places.RunSocket(mount.Id), disk.TargetDevice);
                await context.Services.Images.DeleteAsync(overlay, cancellationToken);
                await context.Services.Images.CreateOverlayAsync(overlay, below, mount.ToVm is null ? new OverlayShape(disk.SizeBytes, DeviceClusterBytes) : null, cancellationToken);
            }
        }
    }

    /// <summary>The daemon of a mount stands on the views themselves, whatever the overlays' headers say.</summary>
    private HostDeviceSet DevicesOf(MountRecord mount)
    {
        IReadOnlyList<RunDisk>? branch = mount.Branch is { } id ? context.Branches.Find(id).Disks : null;
        return new HostDeviceSet(
            ReplicaPlaces.MountDaemon(mount.Id),
            context.Places.MountFolder(mount.Id),
            [.. mount.Disks.Select(disk => new HostDevice(disk.TargetDevice, BackingOf(mount, disk, branch), disk.Overlay is not null))]);
    }

    private StorageBacking BackingOf(MountRecord mount, MountDisk disk, IReadOnlyList<RunDisk>? branch)
    {
        StorageBacking backing = new StorageBacking.Nbd(
            context.Places.ViewSocket, ViewExportName.For(mount.Point, disk.Disk), context.Services.Settings.ReconnectDelay);
        if (branch?.First(other => other.Disk == disk.Disk) is { } kept)
        {
            backing = new StorageBacking.Overlay(kept.Overlay, backing);
        }

        return disk.Overlay is { } overlay ? new StorageBacking.Overlay(overlay, backing) : backing;
    }

    /// <summary>What has to live for the guest it was given to: its own daemon, or its branch's. That guest is its owner's: it is
    /// never resumed by us.</summary>
    private WatchedGuest WatchedOf(MountRecord mount, VmId vm) => mount.Branch is { } id && context.Branches.Find(id) is var branch
        ? new WatchedGuest(branch.Id.Value, vm, mount.ToVmName ?? "", branch.Point, branch.Disks) { OverlaysAreRead = true, IsForeign = true }
        : new WatchedGuest(mount.Id, vm, mount.ToVmName ?? "", mount.Point, OverlaysOf(mount)) { OverlaysAreRead = !mount.Writable, IsForeign = true };

    private static RunDisk[] OverlaysOf(MountRecord mount) =>
        [.. mount.Disks.Where(disk => disk.Overlay is not null).Select(disk => new RunDisk(disk.Disk, disk.TargetDevice, disk.Overlay!))];

    private static MountRecord WithDevices(MountRecord mount, IReadOnlyList<string> devices) =>
        mount with { Disks = [.. mount.Disks.Select((disk, i) => disk with { Device = devices[i] })] };

    private async ValueTask SaveAsync(MountRecord mount, CancellationToken cancellationToken)
    {
        await RunFiles.MountDocument.SaveAsync(context.State, RunFiles.Mount(mount.Id), mount, cancellationToken);
        Put(mount);
    }

    private void Put(MountRecord mount)
    {
        _mounts[mount.Id] = mount;
        Current = [.. _mounts.Values];
    }
}
