using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Tests.Source.Guest;

public sealed class NotedDiskTests
{
    [Theory]
    [InlineData("disk", false, false, true)]
    [InlineData("lun", false, false, true)]
    [InlineData("disk", true, false, false)]
    [InlineData("disk", false, true, false)]
    [InlineData("cdrom", true, false, false)]
    [InlineData("floppy", false, false, false)]
    public void The_guard_watches_what_no_other_VM_may_have(string device, bool readOnly, bool shareable, bool watched)
    {
        VmDiskFacts disk = new("vda", "virtio", device, "qcow2", "file", "/a", 0, readOnly, shareable);
        Assert.Equal(watched ? ["/a"] : [], NotedDisk.Guarded(NotedDisk.Of(Vm(disk), [], 0)));
    }

    [Fact]
    public void A_volume_is_watched_where_it_is_and_stays_watched_while_its_pool_is_away()
    {
        VmDiskFacts found = new("vda", "virtio", "disk", "qcow2", "volume", "/pool/a.qcow2", 0, ReadOnly: false, Shareable: false);
        VmDiskFacts lost = found with { Source = "default/a.qcow2" };
        IReadOnlyList<NotedDisk> noted = NotedDisk.Of(Vm(found), [], 0);
        Assert.Equal(["/pool/a.qcow2"], NotedDisk.Guarded(noted));
        Assert.Equal(noted, NotedDisk.Of(Vm(lost), noted, 7));
        Assert.Empty(NotedDisk.Guarded(NotedDisk.Of(Vm(lost), [], 0)));
    }

    [Fact]
    public void A_disk_elsewhere_is_noted_and_not_watched_and_an_empty_drive_is_nothing()
    {
        IReadOnlyList<NotedDisk> noted = NotedDisk.Of(
            Vm(
                new("vda", "virtio", "disk", "qcow2", "network", "nbd:export", 0, ReadOnly: false, Shareable: false),
                new("sda", "sata", "cdrom", "raw", "file", null, 0, ReadOnly: true, Shareable: false)),
            [],
            0);
        Assert.Equal([new NotedDisk("vda", "nbd:export", IsPath: false, DiskBelonging.Own)], noted);
        Assert.Empty(NotedDisk.Guarded(noted));
    }

    /// <summary>What was late when the VM left is its own again when it is back, also while its pool is away.</summary>
    [Fact]
    public void A_disk_is_late_only_as_long_as_the_VM_is_not_owned_here()
    {
        VmDiskFacts found = new("vdb", "virtio", "disk", "qcow2", "volume", "/pool/b.qcow2", 0, ReadOnly: false, Shareable: false);
        VmDiskFacts medium = new("sda", "sata", "cdrom", "raw", "file", "/iso/a.iso", 0, ReadOnly: true, Shareable: false);
        IReadOnlyList<NotedDisk> late = NotedDisk.LateOf(Vm(found, medium), []);
        Assert.Equal([DiskBelonging.Late, DiskBelonging.ReadOnly], late.Select(disk => disk.Belongs));
        Assert.Equal(["/pool/b.qcow2"], NotedDisk.Guarded(late));
        Assert.Empty(NotedDisk.LateOf(Vm(found), late));
        Assert.Equal([DiskBelonging.Own], NotedDisk.Of(Vm(found with { Source = "default/b.qcow2" }), late, 0).Select(disk => disk.Belongs));
    }

    /// <summary>The cycle that was being read had the disk before it, and got its sequence only when it was over.</summary>
    [Fact]
    public void A_disk_that_came_while_a_cycle_was_read_is_in_no_point_until_it_is_known_which()
    {
        VmDiskFacts first = new("vda", "virtio", "disk", "qcow2", "file", "/a.qcow2", 0, ReadOnly: false, Shareable: false);
        VmDiskFacts second = first with { Source = "/b.qcow2" };
        IReadOnlyList<NotedDisk> noted = NotedDisk.Of(Vm(second), NotedDisk.Of(Vm(first), [], 0), NotedDisk.Undecided);
        Assert.Equal(NotedDisk.Undecided, Assert.Single(noted).After);

        noted = NotedDisk.Of(Vm(second), noted, 7);
        Assert.Equal(7UL, Assert.Single(noted).After);
        Assert.Equal(7UL, Assert.Single(NotedDisk.Of(Vm(second), noted, NotedDisk.Undecided)).After);
    }

    /// <summary>The name at the guest says nothing of which disk is behind it.</summary>
    [Fact]
    public void A_disk_that_took_anothers_place_is_in_later_points_only()
    {
        VmDiskFacts a = new("vda", "virtio", "disk", "qcow2", "file", "/a", 0, ReadOnly: false, Shareable: false);
        VmDiskFacts b = a with { TargetDevice = "vdb", Source = "/b" };
        IReadOnlyList<NotedDisk> first = NotedDisk.Of(Vm(a, b), [], 5);
        Assert.Equal([null, null], first.Select(disk => disk.After));
        IReadOnlyList<NotedDisk> swapped = NotedDisk.Of(Vm(a, b with { Source = "/other" }), first, 8);
        Assert.Equal([null, 8UL], swapped.Select(disk => disk.After));
        Assert.Equal(swapped, NotedDisk.Of(Vm(a, b with { Source = "/other" }), swapped, 12));
        Assert.Equal([null, 12UL], NotedDisk.Of(Vm(a, b), swapped, 12).Select(disk => disk.After)); // back: what was written meanwhile is not known
    }

    private static VmFacts Vm(params VmDiskFacts[] disks) => new(
        new VmId(Guid.Empty), "app", VmRunState.Off, 1, 1, "bios", "pc", true, false, false, disks, []);
}
