using Understudy.Blocks;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class TrackingTests(PrivateHost host)
{
    private const long Block = BlockSize.Bytes;

    [Fact]
    public async Task A_checkpoint_that_does_not_exist_is_lost_tracking()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);

        HypervisorException fault = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, "us-never", "us-1"));

        Assert.Equal(HypervisorFault.TrackingLost, fault.Fault);
        Assert.Empty(await hypervisor.ListCheckpointsAsync(vm.Id, default));
    }

    [Fact]
    public async Task A_killed_qemu_loses_tracking_and_the_dead_checkpoint_can_still_be_deleted()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.KillQemuAsync(host);
        await hypervisor.StartAsync(vm.Id, default);

        HypervisorException fault = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, "us-1", "us-2"));

        Assert.Equal(HypervisorFault.TrackingLost, fault.Fault);
        Assert.Equal(["us-1"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-1", default);
        Assert.Empty(await hypervisor.ListCheckpointsAsync(vm.Id, default));
        await hypervisor.CutAndEndAsync(vm, since: null, "us-2");
    }

    [Fact]
    public async Task A_bitmap_that_was_in_use_when_qemu_was_killed_is_lost_tracking_too()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.StopCleanlyAsync(host); // Stores the bitmap; the next run marks it in use.
        await hypervisor.StartAsync(vm.Id, default);
        await vm.KillQemuAsync(host);
        await hypervisor.StartAsync(vm.Id, default);

        HypervisorException fault = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, "us-1", "us-2"));

        Assert.Equal(HypervisorFault.TrackingLost, fault.Fault);
        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-1", default);
        Assert.Empty(await hypervisor.ListCheckpointsAsync(vm.Id, default));
        await hypervisor.CutAndEndAsync(vm, since: null, "us-2");
    }

    [Fact]
    public async Task Tracking_survives_a_clean_stop()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.WriteAsync("vda", 0x11, Block, 512);
        await vm.StopCleanlyAsync(host);
        await hypervisor.StartAsync(vm.Id, default);
        await vm.WriteAsync("vda", 0x22, 7 * Block, 512);

        await using ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-2");

        Assert.Equal([new ByteRange(Block, Block), new ByteRange(7 * Block, Block)], await capture.ChangedAsync(disk: 0));
    }

    [Fact]
    public async Task Deleting_the_newest_checkpoint_gives_its_changes_to_the_one_before()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.WriteAsync("vda", 0x11, 0, Block);
        await hypervisor.CutAndEndAsync(vm, "us-1", "us-2");
        await vm.WriteAsync("vda", 0x22, 4 * Block, Block);
        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-2", default);
        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-2", default);

        await using ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-3");

        Assert.Equal([new ByteRange(0, Block), new ByteRange(4 * Block, Block)], await capture.ChangedAsync(disk: 0));
    }

    [Fact]
    public async Task Checkpoints_of_a_vm_that_is_off_can_be_deleted_and_the_others_lose_nothing()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.WriteAsync("vda", 0x11, 0, Block);
        await hypervisor.CutAndEndAsync(vm, "us-1", "us-2");
        await vm.WriteAsync("vda", 0x22, 4 * Block, Block);
        await vm.StopCleanlyAsync(host);

        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-2", default);
        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-2", default);

        Assert.Equal(["us-1"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
        Assert.DoesNotContain("us-2", Tool.Run("qemu-img", "info", vm.PathOf("vda")), StringComparison.Ordinal);
        await hypervisor.StartAsync(vm.Id, default);
        await using ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-3");
        Assert.Equal([new ByteRange(0, Block), new ByteRange(4 * Block, Block)], await capture.ChangedAsync(disk: 0));
    }

    [Fact]
    public async Task Checkpoints_of_others_are_listed_in_order_and_stay()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        Tool.Run("virsh", "-q", "-c", host.Uri, "checkpoint-create-as", vm.Id.ToString(), "zz-users-own");
        await vm.WriteAsync("vda", 0x11, 0, Block);
        await hypervisor.CutAndEndAsync(vm, "us-1", "us-2");
        Assert.Equal(["us-1", "zz-users-own", "us-2"], await hypervisor.ListCheckpointsAsync(vm.Id, default));

        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-1", default);
        await hypervisor.ClearStaleCaptureAsync(vm.Id, default);

        Assert.Equal(["zz-users-own", "us-2"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
        await using ICapture theirs = await hypervisor.CutAsync(vm, "zz-users-own", "us-3");
        Assert.Equal([new ByteRange(0, Block)], await theirs.ChangedAsync(disk: 0));
    }
}
