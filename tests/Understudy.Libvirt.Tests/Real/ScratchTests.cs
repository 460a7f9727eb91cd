using Understudy.Blocks;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class ScratchTests(PrivateHost host)
{
    [Fact]
    public async Task A_capture_ends_at_half_of_its_scratch_quota_and_the_next_one_loses_nothing()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await vm.WriteAsync("vda", 0x11, 0, 8 << 20);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await using (ICapture capture = await hypervisor.BeginCaptureAsync(new CaptureRequest(vm.Id, "us-1", "us-2", Capturing.Disks("vda", "vdb"), 8 << 20), default))
        {
            await vm.WriteAsync("vda", 0x22, 0, 8 << 20);

            HypervisorException fault = await Capturing.FaultAsync(() => ReadForEverAsync(capture));

            Assert.Equal((HypervisorFault.ScratchFull, FaultClass.Transient), (fault.Fault, fault.Class));
        }

        Assert.Equal(VmRunState.Running, await hypervisor.GetRunStateAsync(vm.Id, default));
        await hypervisor.DeleteCheckpointAsync(vm.Id, "us-2", default);
        await using ICapture next = await hypervisor.CutAsync(vm, "us-1", "us-3");
        Assert.Equal([new ByteRange(0, 8 << 20)], await next.ChangedAsync(disk: 0));
    }

    [Fact]
    public async Task A_guest_that_a_full_scratch_paused_goes_on_and_the_reader_learns_why()
    {
        // Only the I/O error event wakes this watch: the guest fills 4 MiB before an interval would have passed.
        LibvirtSettings settings = host.Settings with { ScratchFolder = Path.Combine(host.SmallFolder, "scratch"), ScratchWatchInterval = TimeSpan.FromHours(1) };
        await using LibvirtHypervisor hypervisor = host.Connect(settings);
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1, WritingGuest.InstallOn);
        await using (ICapture capture = await hypervisor.CutAsync(vm, since: null, "us-1", "vda"))
        {
            HypervisorException fault = await Capturing.FaultAsync(() => ReadForEverAsync(capture));

            Assert.Equal(HypervisorFault.ScratchFull, fault.Fault);
            Assert.Contains("paused", fault.Message, StringComparison.Ordinal);
        }

        Assert.Equal(VmRunState.Running, await hypervisor.GetRunStateAsync(vm.Id, default));
        Assert.Empty(Directory.GetFiles(settings.ScratchFolder));
    }

    private static async Task ReadForEverAsync(ICapture capture)
    {
        while (true)
        {
            await capture.ReadAsync(0, 0, 512);
        }
    }
}
