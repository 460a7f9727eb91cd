using System.Xml.Linq;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Capture;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Xml;

/// <summary>What libvirt is asked with, word for word.</summary>
public sealed class RequestXmlTests
{
    private static readonly VmId Vm = new(Guid.Parse("e0827487-7396-4ac9-b901-347951423fbc"));

    [Fact]
    public void A_backup_names_its_files_and_only_the_disks_of_the_request() => Assert.Equal(
        "<domainbackup mode=\"pull\"><incremental>us-1</incremental>"
        + "<server transport=\"unix\" socket=\"/scratch/us-e082748773964ac9-00000000002a.sock\" />"
        + "<disks><disk name=\"vdb\" backup=\"yes\" type=\"file\" exportname=\"vdb\">"
        + "<scratch file=\"/scratch/us-e082748773964ac9-00000000002a-vdb.scratch\" /></disk></disks></domainbackup>",
        BackupXml.Begin(ScratchNames.For("/scratch", Vm, 42), "us-1", [new CaptureDisk("vdb")]));

    [Fact]
    public void A_first_backup_has_no_since() =>
        Assert.DoesNotContain("incremental", BackupXml.Begin(ScratchNames.For("/scratch", Vm, 42), since: null, [new CaptureDisk("vda", WantsChanges: false)]), StringComparison.Ordinal);

    [Fact]
    public void A_disk_that_came_later_than_the_checkpoint_is_captured_in_full_beside_the_others()
    {
        XElement read = XElement.Parse(BackupXml.Begin(ScratchNames.For("/scratch", Vm, 42), "us-1", [new CaptureDisk("vda"), new CaptureDisk("vdb", WantsChanges: false)]));

        Assert.Equal(["vda ", "vdb full"], read.Element("disks")!.Elements("disk").Select(disk => $"{disk.Text("name")} {disk.Text("backupmode")}"));
    }

    [Fact]
    public void A_checkpoint_has_a_bitmap_on_each_disk() => Assert.Equal(
        "<domaincheckpoint><name>us-2</name><disks><disk name=\"vda\" checkpoint=\"bitmap\" /><disk name=\"vdb\" checkpoint=\"bitmap\" /></disks></domaincheckpoint>",
        BackupXml.Checkpoint("us-2", ["vda", "vdb"]));

    [Fact]
    public void The_socket_of_a_running_backup_is_found_and_a_push_backup_has_none()
    {
        Assert.Equal("/s", BackupXml.ReadSocket("<domainbackup mode='pull' id='0'><server transport='unix' socket='/s'/></domainbackup>"));
        Assert.Null(BackupXml.ReadSocket("<domainbackup mode='push'><disks/></domainbackup>"));
    }

    [Fact]
    public void A_redefined_checkpoint_carries_the_domain_and_names_every_disk()
    {
        XElement read = XElement.Parse(BlockJobXml.RedefinedCheckpoint(
            "us-boot",
            DateTimeOffset.UnixEpoch.AddSeconds(5),
            ["vda"],
            "<domain id='3'><name>x</name><devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices></domain>"));

        Assert.Equal("5", read.Element("creationTime")?.Value);
        Assert.Equal(
            ["vda bitmap us-boot", "vdb no "],
            read.Element("disks")!.Elements("disk").Select(disk => $"{disk.Text("name")} {disk.Text("checkpoint")} {disk.Text("bitmap")}"));
        Assert.Equal("x", read.Element("domain")?.Element("name")?.Value);
        Assert.Null(read.Element("domain").Text("id"));
    }

    [Fact]
    public void A_copy_goes_to_the_file_in_its_format() => Assert.Equal(
        "<disk type=\"file\"><driver name=\"qemu\" type=\"qcow2\" /><source file=\"/images/a&amp;b.qcow2\" /></disk>",
        BlockJobXml.CopyDestination("/images/a&b.qcow2", "qcow2"));

    [Theory]
    [InlineData("/scratch/us-e082748773964ac9-00000000002a.sock", true)]
    [InlineData("/scratch/us-0000000000000000-00000000002a.sock", false)]
    [InlineData("/other/us-e082748773964ac9-00000000002a.sock", false)]
    [InlineData("/scratch/theirs.sock", false)]
    [InlineData("", false)]
    public void A_job_is_ours_by_the_path_of_its_socket(string socket, bool ours) =>
        Assert.Equal(ours, ScratchNames.IsOurs("/scratch", Vm, socket));

    [Fact]
    public void The_longest_scratch_folder_still_gives_a_socket_path_that_fits()
    {
        var settings = new LibvirtSettings { Uri = "x", ScratchFolder = "/" + new string('f', 107 - ScratchNames.LongestFileName - 2) };
        string socket = ScratchNames.For(settings.ScratchFolder, Vm, UInt128.MaxValue).Socket;

        Assert.Equal(107, socket.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => settings with { ScratchFolder = settings.ScratchFolder + "f" });
    }
}
