using System.Xml;
using System.Xml.Linq;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <param name="Why">As a part of a sentence that names the disk.</param>
public sealed record UnsuitableDisk(string TargetDevice, string Why, string Remedy);

/// <summary>Which disks of a VM can be replicated, and why one cannot be.</summary>
public sealed record DiskChoice(IReadOnlyList<DiskNow> Disks, IReadOnlyList<UnsuitableDisk> Unsuitable)
{
    /// <summary>CD-ROMs and floppies hold media, not data of the VM; a disk nobody can write has no changes.</summary>
    /// <param name="definition">What the VM's next start would use: a stand-in starts from it, and has no other disks.</param>
    public static DiskChoice Of(VmFacts vm, IReadOnlyCollection<string> excluded, string definition)
    {
        HashSet<string> defined = DisksOf(definition);
        List<DiskNow> disks = [];
        List<UnsuitableDisk> unsuitable = [];
        foreach (VmDiskFacts disk in vm.Disks)
        {
            if (disk.Device != "disk" || disk.ReadOnly || excluded.Contains(disk.TargetDevice))
            {
                continue;
            }

            if (FindFault(disk, defined) is { } fault)
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

    /// <summary>Target devices of a definition's disks.</summary>
    public static HashSet<string> DisksOf(string definition) =>
    [
        .. Parse(definition).Elements("devices").Elements("disk").Select(disk => (string?)disk.Element("target")?.Attribute("dev")).OfType<string>(),
    ];

    private static XElement Parse(string definition)
    {
        try
        {
            return XElement.Parse(definition);
        }
        catch (XmlException unreadable)
        {
            throw new HypervisorException(HypervisorFault.Other, $"the VM's definition cannot be read: {unreadable.Message}", null, unreadable);
        }
    }

    private static UnsuitableDisk? FindFault(VmDiskFacts disk, HashSet<string> defined) =>
        !defined.Contains(disk.TargetDevice) ? new(
            disk.TargetDevice,
            $"disk {disk.TargetDevice} is plugged into the running VM only and not in its definition",
            "Add it to the definition too (virsh attach-disk --live --config), or exclude it.")
        : disk.Shareable ? new(disk.TargetDevice, $"disk {disk.TargetDevice} is shared between VMs", "Exclude it, or protect VMs with disks of their own only.")
        : disk.SizeBytes == 0 ? new(disk.TargetDevice, $"the hypervisor does not say the size of disk {disk.TargetDevice}", "Try again when QEMU answers (virsh domblkinfo).")
        : disk.SourceType is not ("file" or "block" or "volume") ? new(
            disk.TargetDevice,
            $"disk {disk.TargetDevice} is on a {disk.SourceType} source, which could not be read once the VM is off",
            "Exclude it, or move it to a file or block device of the host.")
        : disk.Format != "qcow2" ? new(
            disk.TargetDevice,
            $"disk {disk.TargetDevice} is a {disk.Format} image, on which the hypervisor cannot track changes",
            "Exclude it, or convert it to qcow2 (qemu-img convert) while the VM is off.")
        : null;
}
