using Understudy.Blocks;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

/// <summary>Disks that come, go and grow between two cuts.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class ChangingDisksTests(PrivateHost host)
{
    private const long Block = BlockSize.Bytes;

    [Fact]
    public async Task A_disk_that_came_is_captured_in_full_beside_the_changes_of_the_others()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1", "vda");
        await vm.WriteAsync("vda", 0x11, Block, 512);
        vm.Attach(host, "sdb");

        await using (ICapture capture = await CutAsync(hypervisor, vm, "us-1", "us-2", new CaptureDisk("vda"), new CaptureDisk("sdb", WantsChanges: false)))
        {
            Assert.Equal([new ByteRange(Block, Block)], await capture.ChangedAsync(disk: 0));
            Assert.Equal(TestVm.DiskBytes, capture.Disks[1].SizeBytes);
            Assert.Equal(new byte[512], await capture.ReadAsync(1, 0, 512));
            await capture.EndAsync(default);
        }

        await hypervisor.CutAndEndAsync(vm, "us-2", "us-3", "vda", "sdb"); // From now on it is tracked like the other.
        Assert.Equal(["us-1", "us-2", "us-3"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
    }

    [Fact]
    public async Task A_disk_that_came_and_is_taken_for_an_old_one_is_lost_tracking()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1", "vda");
        vm.Attach(host, "sdb");

        HypervisorException fault = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, "us-1", "us-2", "vda", "sdb"));

        Assert.Equal(HypervisorFault.TrackingLost, fault.Fault);
        Assert.Equal(["us-1"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
    }

    [Fact]
    public async Task Cuts_go_on_without_a_disk_that_went_and_the_checkpoint_that_had_it_can_be_deleted()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1);
        vm.Attach(host, "sdb");
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1", "vda", "sdb");
        await vm.WriteAsync("vda", 0x11, 3 * Block, 512);
        vm.Detach(host, "sdb");

        await using (ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-2", "vda"))
        {
            Assert.Equal([new ByteRange(3 * Block, Block)], await capture.ChangedAsync(disk: 0));
            await capture.EndAsync(default);
        }

        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-1", default);
        Assert.Equal(["us-2"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
    }

    [Fact]
    public async Task A_disk_that_grew_is_captured_with_its_new_size_and_what_is_new_counts_as_changed_only_where_it_was_written()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1", "vda");
        vm.Resize(host, "vda", 2 * TestVm.DiskBytes);
        await vm.WriteAsync("vda", 0x11, TestVm.DiskBytes + Block, 512);

        await using ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-2", "vda");

        Assert.Equal(2 * TestVm.DiskBytes, capture.Disks[0].SizeBytes);
        Assert.Equal([new ByteRange(TestVm.DiskBytes + Block, Block)], await capture.ChangedAsync(disk: 0));
        Assert.Equal(2 * TestVm.DiskBytes, Assert.Single((await hypervisor.FindVmAsync(vm.Id, default))!.Disks).SizeBytes);
    }

    [Fact]
    public async Task A_disk_that_is_left_out_gets_no_tracking()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 2);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1", "vda");
        await hypervisor.CutAndEndAsync(vm, "us-1", "us-2", "vda");
        await vm.StopCleanlyAsync(host); // Stores the bitmaps.
        Assert.Contains("bitmaps", Tool.Run("qemu-img", "info", "--force-share", vm.PathOf("vda")), StringComparison.Ordinal);
        Assert.DoesNotContain("bitmaps", Tool.Run("qemu-img", "info", "--force-share", vm.PathOf("vdb")), StringComparison.Ordinal);
    }

    private static ValueTask<ICapture> CutAsync(LibvirtHypervisor hypervisor, TestVm vm, string since, string name, params CaptureDisk[] disks) =>
        hypervisor.BeginCaptureAsync(new CaptureRequest(vm.Id, since, name, disks, Capturing.AmpleScratch), default);
}
