using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Protection.Tests.Source;

public sealed class KeptDisksTests
{
    /// <summary>The guard would keep every VM with the same install medium from starting, and with the old VM the medium would be deleted.</summary>
    [Fact]
    public void Only_disks_that_are_the_VMs_alone_are_guarded_and_deleted_with_it()
    {
        VmFacts vm = new(
            new VmId(Guid.Empty), "web1", VmRunState.Running, 1, 1, "bios", "pc", true, false, false,
            [
                Disk("vda", "/pool/web1.qcow2"),
                Disk("sda", "/iso/install.iso") with { Device = "cdrom", ReadOnly = true },
                Disk("vdb", "/pool/tools.qcow2") with { ReadOnly = true },
                Disk("vdc", "/pool/cluster.raw") with { Shareable = true },
                Disk("vdd", "rbd/volume"),
                Disk("vde", null),
                Disk("vdf", "/dev/vg/web1"),
            ],
            []);

        Assert.Equal(["/pool/web1.qcow2", "/dev/vg/web1"], KeptDisks.OwnOf(vm));
    }

    private static VmDiskFacts Disk(string target, string? source) => new(target, "virtio", "disk", "qcow2", "file", source, 1, ReadOnly: false, Shareable: false);
}
