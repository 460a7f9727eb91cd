using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

/// <summary>A definition may name a disk as a volume of a pool. Whoever reads, guards or deletes that disk has to know which
/// file or device of this host it is, also while its pool is not started.</summary>
public sealed partial class LibvirtHypervisor
{
    private const string VolumeType = "volume";

    /// <summary>A volume that libvirt does not find stays under the name the definition gives it: the VM is listed all the same.</summary>
    private async ValueTask<IReadOnlyList<VmDiskFacts>> FindVolumesAsync(string vmName, IReadOnlyList<VmDiskFacts> disks, CancellationToken cancellationToken)
    {
        if (disks.All(disk => disk.SourceType != VolumeType))
        {
            return disks;
        }

        try
        {
            return await _storage.OnStorageAsync<IReadOnlyList<VmDiskFacts>>(
                $"find the volumes of VM {vmName}", connect => [.. disks.Select(disk => FindVolume(connect, disk))], cancellationToken);
        }
        catch (HypervisorException hung) when (IsNoAnswer(hung))
        {
            _logger.VolumeUnknown("(all)", vmName, hung.Message);
            return disks;
        }
    }

    private VmDiskFacts FindVolume(ConnectHandle connect, VmDiskFacts disk)
    {
        if (disk.SourceType != VolumeType || disk.Source?.Split('/', 2) is not [string poolName, string name])
        {
            return disk;
        }

        using StoragePoolHandle pool = LibvirtLibrary.StoragePoolLookupByName(connect, poolName);
        if (pool.IsInvalid)
        {
            NoteUnknown(disk);
            return disk;
        }

        using StorageVolumeHandle volume = LibvirtLibrary.StorageVolumeLookupByName(pool, name);
        if (!volume.IsInvalid)
        {
            return disk with { Source = NativeResult.Take(LibvirtLibrary.StorageVolumeGetPath(volume)), SizeBytes = SizeOf(volume) };
        }

        NoteUnknown(disk);
        return PoolXml.PathOf(NativeResult.Take(LibvirtLibrary.StoragePoolGetXml(pool, 0)), name) is { } path ? disk with { Source = path } : disk;
    }

    /// <summary>As seen from outside; QEMU, where one runs, knows better.</summary>
    private static unsafe long SizeOf(StorageVolumeHandle volume)
    {
        VirStorageVolInfo info;
        return LibvirtLibrary.StorageVolumeGetInfo(volume, &info) == 0 ? checked((long)info.CapacityBytes) : 0;
    }

    private void NoteUnknown(VmDiskFacts disk)
    {
        LibvirtException reason = LibvirtException.Last();
        if (reason.FromConnection)
        {
            throw reason;
        }

        _logger.VolumeUnknown(disk.TargetDevice, disk.Source ?? "", reason.Message);
    }
}
