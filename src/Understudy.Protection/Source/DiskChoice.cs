using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <param name="Why">As a part of a sentence that names the disk.</param>
public sealed record UnsuitableDisk(string TargetDevice, string Why, string Remedy);

/// <summary>Which disks of a VM can be replicated, and why one cannot be.</summary>
public sealed record DiskChoice(IReadOnlyList<DiskNow> Disks, IReadOnlyList<UnsuitableDisk> Unsuitable)
{
    /// <summary>CD-ROMs and floppies hold media, not data of the VM; a disk nobody can write has no changes.</summary>
    public static DiskChoice Of(VmFacts vm, IReadOnlyCollection<string> excluded)
    {
        List<DiskNow> disks = [];
        List<UnsuitableDisk> unsuitable = [];
        foreach (VmDiskFacts disk in vm.Disks)
        {
            if (disk.Device != "disk" || disk.ReadOnly || excluded.Contains(disk.TargetDevice))
            {
                continue;
            }

            if (FindFault(disk) is { } fault)
            {
                unsuitable.Add(fault);
            }
            else
            {
                disks.Add(new DiskNow(disk.TargetDevice, disk.SizeBytes));
            }
        }

        return new DiskChoice(disks, unsuitable);
    }

    private static UnsuitableDisk? FindFault(VmDiskFacts disk) =>
        disk.Shareable ? new(disk.TargetDevice, $"disk {disk.TargetDevice} is shared between VMs", "Exclude it, or protect VMs with disks of their own only.")
        : disk.SizeBytes == 0 ? new(disk.TargetDevice, $"the hypervisor does not say the size of disk {disk.TargetDevice}", "Try again when QEMU answers (virsh domblkinfo).")
        : disk.Format != "qcow2" ? new(
            disk.TargetDevice,
            $"disk {disk.TargetDevice} is a {disk.Format} image, on which the hypervisor cannot track changes",
            "Exclude it, or convert it to qcow2 (qemu-img convert) while the VM is off.")
        : null;
}
