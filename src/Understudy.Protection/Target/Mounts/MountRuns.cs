using System.Runtime.ExceptionServices;
using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target.Mounts;

/// <summary>
/// What of one replica is given out (TST-3). A mount's file is durable before its first effect and goes after its last
/// trace; one that was being made when the agent died is taken away, one that stood goes on, with the same devices unless
/// the host was started anew meanwhile. Changed under one gate.
/// </summary>
internal sealed partial class MountRuns(ReplicaContext context)
{
    /// <summary>The kernel asks for zeros by punching holes of whole sectors into what a device stands on, and QEMU's FUSE export
    /// takes that for a discard, which a qcow2 carries out by whole clusters only and otherwise ignores. So under a device
    /// a cluster is a sector, and the largest such image there is bounds the disk (docs/decisions/host-devices.md).</summary>
    private const int DeviceClusterBytes = 512;

    private const long LargestWritableBytes = 128L << 30;

    private readonly AsyncGate _gate = new();
    private readonly SortedDictionary<Guid, MountRecord> _mounts = [];

    /// <summary>A snapshot, in the order of their ids.</summary>
    public IReadOnlyList<MountRecord> Current { get; private set; } = [];

    /// <summary>After a restart, before anything lets go of a branch: what stands is held again.</summary>
    public async ValueTask LoadAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        foreach (MountRecord mount in await RunFiles.MountDocument.LoadAllAsync(context.State, RunFiles.MountFolder, cancellationToken))
        {
            Put(mount);
            await HoldAsync(mount, serve: false, cancellationToken);
        }
    }

    /// <summary>Unfinished ones are taken away, now or by the watch: whoever ordered them asks again, and the replica waits for
    /// none of them.</summary>
    public async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        foreach (MountRecord mount in Current.Where(mount => mount.Step == MountStep.Making))
        {
            try
            {
                await TryRemoveAsync(mount, cancellationToken);
            }
            catch (Exception fault) when (fault is not InvariantException && !cancellationToken.IsCancellationRequested)
            {
                Log.TriedAgain(context.Logger, context.Vm, $"removing mount {mount.Id}", fault.Message);
            }
        }
    }

    /// <summary>What was being made when this was called stands, or has come to nothing, when it returns.</summary>
    public async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
    }

    /// <summary>Refuses without having changed anything, or says the devices, in the order of the disks.</summary>
    public async ValueTask<MountRecord> MountAsync(MountOrder order, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (_mounts.TryGetValue(order.Id, out MountRecord? known))
        {
            if (known.Step == MountStep.Standing)
            {
                return known;
            }

            // The attempt before this one failed half way, and a guest may have kept a disk of it.
            if (await RequireRemovedAsync(known, cancellationToken) is { } waiting)
            {
                throw new RefusedException(RefusalCode.Busy, $"{waiting}.", "Attach it again then.");
            }
        }

        context.RequireStays();

        MountRecord mount = await PlanAsync(order, cancellationToken);
        await SaveAsync(mount, cancellationToken);
        try
        {
            mount = await MakeAsync(mount, cancellationToken);
            await SaveAsync(mount = mount with { Step = MountStep.Standing }, cancellationToken);
            Log.Mounted(context.Logger, context.Vm, mount.Id, mount.Point.ToString(), string.Join(", ", mount.Disks.Select(disk => disk.Device)));
            return mount;
        }
        catch
        {
            await TryRemoveAsync(mount, CancellationToken.None); // Also when the caller gave up: what was made must not stay.
            throw;
        }
    }

    /// <summary>Takes it away; one that is gone already is fine. Devices that somebody has open are in the way and named; a
    /// guest that has not let go of its disk does so later, and what is left goes then by itself.</summary>
    public async ValueTask<RemovedThings> RemoveAsync(Guid id, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (!_mounts.TryGetValue(id, out MountRecord? mount))
        {
            return RemovedThings.Nothing;
        }

        string[] things = [.. mount.Disks.Select(disk => mount.ToVm is null ? $"device {disk.Device}" : $"disk {disk.Device} of VM {mount.ToVmName}")];
        return await RequireRemovedAsync(mount, cancellationToken) is { } waiting ? new RemovedThings([], [waiting]) : new RemovedThings(things, []);
    }

    /// <summary>For the host's loop: devices whose daemon died come back, a removal that waits for a guest goes on, and an
    /// attachment whose VM was shut down is over.</summary>
    public async Task WatchAsync(GuestWatch watch, CancellationToken cancellationToken)
    {
        ExceptionDispatchInfo? first = null;
        foreach (Guid id in Current.Select(mount => mount.Id))
        {
            try
            {
                await WatchAsync(id, watch, cancellationToken);
            }
            catch (Exception fault) when (fault is not InvariantException && !cancellationToken.IsCancellationRequested)
            {
                Log.TriedAgain(context.Logger, context.Vm, $"looking after mount {id}", fault.Message);
                first ??= ExceptionDispatchInfo.Capture(fault);
            }
        }

        first?.Throw();
    }

    private async ValueTask WatchAsync(Guid id, GuestWatch watch, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (!_mounts.TryGetValue(id, out MountRecord? mount))
        {
            return;
        }

        if (mount.Step != MountStep.Standing || await IsOverAsync(mount, cancellationToken))
        {
            await TryRemoveAsync(mount, cancellationToken);
        }
        else if (mount.ToVm is { } vm)
        {
            await watch.TendAsync(WatchedOf(mount, vm), cancellationToken);
        }
        else
        {
            await ShowAgainAsync(mount, cancellationToken);
        }
    }

    private async ValueTask<MountRecord> PlanAsync(MountOrder order, CancellationToken cancellationToken)
    {
        PointContents contents = order.Branch is { } branch
            ? await context.Slot.Replica.GetPointAsync(context.Branches.Find(branch).Point, cancellationToken)
            : await TestRuns.GetPointAsync(context.Slot.Replica, order.Point, cancellationToken);
        VmFacts? vm = order.ToVm is null ? null : await FindVmAsync(order.ToVm, cancellationToken);
        if (vm is null && await context.Services.Devices.FindObstacleAsync(cancellationToken) is { } obstacle)
        {
            throw new RefusedException(
                RefusalCode.HostLacks, $"This host cannot show a point as a block device: {obstacle}.", "Attach the point to a VM instead (understudy point attach), or export it.");
        }

        if (vm is null && order.Writable && contents.Geometry.Disks.FirstOrDefault(disk => disk.SizeBytes > LargestWritableBytes) is { } large)
        {
            throw new RefusedException(
                RefusalCode.HostLacks,
                $"Disk {large.Target} has {large.SizeBytes >> 30} GiB, and a host's writable device has at most {LargestWritableBytes >> 30} GiB.",
                "Mount it read-only, or attach the point to a VM (understudy point attach).");
        }

        bool overlays = order.Writable || vm is not null; // A VM reads its disk through an image of its own in any case.
        return new MountRecord(
            order.Id,
            contents.Point.Id,
            order.Branch,
            vm?.Id,
            vm?.Name,
            order.Writable,
            [
                .. contents.Geometry.Disks.Select(disk => new MountDisk(
                    disk.Disk, disk.Target, disk.SizeBytes, overlays ? context.Places.MountOverlay(order.Id, disk.Target) : null, Device: null)),
            ],
            context.Services.Time.GetUtcNow(),
            MountStep.Making);
    }

    private async ValueTask<VmFacts> FindVmAsync(string nameOrId, CancellationToken cancellationToken)
    {
        VmFacts vm = (await context.Services.Hypervisor.ListVmsAsync(cancellationToken)).FirstOrDefault(vm => vm.Name == nameOrId || vm.Id.ToString() == nameOrId)
            ?? throw new RefusedException(RefusalCode.NoSuchVm, $"This host has no VM '{nameOrId}'.", "See its VMs: virsh list --all.");
        return vm.State is VmRunState.Running or VmRunState.Paused
            ? vm
            : throw new RefusedException(
                RefusalCode.VmOff, $"VM {vm.Name} does not run.", "Start it first: disks are given to it while it runs, and are gone when it is shut down; its definition stays as it is.");
    }
}
