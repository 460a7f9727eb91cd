using Understudy.Agent;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Tests.Agent;

public sealed class SourceDisksTests
{
    [Fact]
    public void Writable_disks_take_part_in_domain_order_and_media_are_left_out()
    {
        IReadOnlyList<DiskNow> disks = SourceDisks.Of(Vm(Disk("vda"), Disk("sda") with { Device = "cdrom", Format = "raw" }, Disk("vdc") with { ReadOnly = true }, Disk("vdb")), [], Definition);

        Assert.Equal(["vda", "vdb"], disks.Select(d => d.TargetDevice));
    }

    [Fact]
    public void A_raw_disk_is_refused_by_name_with_what_to_do()
    {
        ErrorInfo error = Refused(Vm(Disk("vda"), Disk("vdb") with { Format = "raw" }));

        Assert.Contains("vdb", error.Why, StringComparison.Ordinal);
        Assert.Contains("qcow2", error.Next, StringComparison.Ordinal);
    }

    [Fact]
    public void An_excluded_disk_is_no_part_of_it_whatever_it_is()
    {
        VmFacts vm = Vm(Disk("vda"), Disk("vdb") with { Format = "raw" });
        Assert.Equal(["vda"], SourceDisks.Of(vm, ["vdb"], Definition).Select(d => d.TargetDevice));
        Assert.Contains("no disk", Assert.Throws<ErrorException>(() => SourceDisks.Of(vm, ["vda", "vdb"], Definition)).Error.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_shared_between_VMs_is_refused()
    {
        Assert.Contains("shared", Refused(Vm(Disk("vda") with { Shareable = true })).Why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_of_unknown_size_is_refused()
    {
        Assert.Contains("size", Refused(Vm(Disk("vda") with { SizeBytes = 0 })).Why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_VM_without_disks_is_refused()
    {
        Assert.Equal(ErrorKind.Refused, Refused(Vm()).Kind);
    }

    [Fact]
    public void A_disk_plugged_into_the_running_VM_only_is_refused_because_no_start_would_have_it()
    {
        Assert.Contains("not in its definition", Refused(Vm(Disk("vda"), Disk("vdz"))).Why, StringComparison.Ordinal);
    }

    [Fact]
    public void Later_only_an_empty_choice_is_refused()
    {
        VmFacts vm = Vm(Disk("vda"), Disk("vdb") with { Format = "raw" });
        SourceDisks.RequireAny(vm, [], Definition);
        Assert.Contains("qcow2", Assert.Throws<ErrorException>(() => SourceDisks.RequireAny(vm, ["vda"], Definition)).Error.Next, StringComparison.Ordinal);
        Assert.Contains("disk would be left", Assert.Throws<ErrorException>(() => SourceDisks.RequireAny(vm, ["vda", "vdb"], Definition)).Error.Why, StringComparison.Ordinal);
    }

    private const string Definition = """
        <domain><devices>
          <disk device='disk'><target dev='vda'/></disk><disk device='disk'><target dev='vdb'/></disk>
          <disk device='disk'><target dev='vdc'/></disk><disk device='cdrom'><target dev='sda'/></disk>
        </devices></domain>
        """;

    private static ErrorInfo Refused(VmFacts vm) => Assert.Throws<ErrorException>(() => SourceDisks.Of(vm, [], Definition)).Error;

    private static VmFacts Vm(params VmDiskFacts[] disks) => new(
        new VmId(Guid.Empty), "web1", VmRunState.Running, 1, 1 << 28, "bios", "pc", true, false, false, disks, []);

    private static VmDiskFacts Disk(string device) => new(device, "virtio", "disk", "qcow2", "file", $"/images/{device}.qcow2", 1 << 26, false, false);
}
