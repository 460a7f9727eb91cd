using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>Which disks of a VM are replicated, and why one cannot be.</summary>
internal static class SourceDisks
{
    /// <exception cref="ErrorException">A disk cannot be replicated, or there is none.</exception>
    public static IReadOnlyList<SourceDisk> Of(VmFacts vm)
    {
        // CD-ROMs and floppies hold media, not data of the VM; a disk nobody can write has no changes.
        VmDiskFacts[] disks = [.. vm.Disks.Where(d => d is { Device: "disk", ReadOnly: false })];
        foreach (VmDiskFacts disk in disks)
        {
            if (disk.Shareable)
            {
                throw Unsuitable(vm, $"disk {disk.TargetDevice} is shared between VMs", "Protect VMs with disks of their own only.");
            }

            if (disk.SizeBytes == 0)
            {
                throw Unsuitable(vm, $"the hypervisor does not say the size of disk {disk.TargetDevice}", "Try again when QEMU answers (virsh domblkinfo).");
            }

            if (disk.Format != "qcow2")
            {
                throw Unsuitable(
                    vm, $"disk {disk.TargetDevice} is a {disk.Format} image, on which the hypervisor cannot track changes",
                    "Convert it to qcow2 (qemu-img convert) while the VM is off.");
            }
        }

        return disks.Length == 0
            ? throw Unsuitable(vm, "it has no disk", "There is nothing to replicate.")
            : [.. disks.Select((disk, i) => new SourceDisk(new DiskId((ushort)i), disk.TargetDevice, disk.SizeBytes))];
    }

    private static ErrorException Unsuitable(VmFacts vm, string why, string remedy) =>
        new(Errors.VmUnsuitable(vm.Name, new CheckResult("disks", CheckLevel.Error, why, remedy)));
}
