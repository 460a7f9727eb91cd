using Understudy.Blocks;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class CaptureTests(PrivateHost host)
{
    private const long Block = BlockSize.Bytes;

    [Fact]
    public async Task A_first_capture_shows_the_disk_and_which_parts_of_it_hold_data()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await vm.WriteAsync("vda", 0x41, 3 * Block, Block);
        DateTimeOffset before = DateTimeOffset.UtcNow;

        await using ICapture capture = await hypervisor.CutAsync(vm, since: null, "us-1");

        Assert.InRange(capture.CutAt, before, DateTimeOffset.UtcNow);
        Assert.Equal([("vda", TestVm.DiskBytes), ("vdb", TestVm.DiskBytes)], capture.Disks.Select(disk => (disk.TargetDevice, disk.SizeBytes)));
        IReadOnlyList<BlockExtent> extents = await capture.GetAllocationAsync(capture.Disks[0], new ByteRange(0, TestVm.DiskBytes), default);
        Assert.Equal(new ByteRange(3 * Block, Block), Assert.Single(extents, extent => extent.Kind == ExtentKind.Data).Range);
        Assert.All(await capture.ReadAsync(0, 3 * Block, (int)Block), value => Assert.Equal(0x41, value));
        Assert.All(await capture.ReadAsync(0, 0, (int)Block), value => Assert.Equal(0, value));
        Assert.Equal(["us-1"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
        await capture.EndAsync(default);
        await capture.EndAsync(default);
    }

    [Fact]
    public async Task Changes_since_a_checkpoint_are_exact_to_the_block_and_coalesced()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await vm.WriteAsync("vda", 0x11, 0, 4 * Block);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.WriteAsync("vda", 0x22, 5 * Block, 512);
        await vm.WriteAsync("vda", 0x22, (9 * Block) - 512, 1024);
        await vm.WriteAsync("vda", 0x22, 10 * Block, Block);
        await vm.WriteAsync("vda", 0x22, TestVm.DiskBytes - 512, 512);

        await using ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-2");

        Assert.Equal(
            [new ByteRange(5 * Block, Block), new ByteRange(8 * Block, 3 * Block), new ByteRange(TestVm.DiskBytes - Block, Block)],
            await capture.ChangedAsync(disk: 0));
        Assert.Empty(await capture.ChangedAsync(disk: 1));
    }

    [Fact]
    public async Task The_content_stays_that_of_the_cut_while_the_guest_writes_on()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await vm.WriteAsync("vda", 0x11, 0, 2 * Block);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.WriteAsync("vda", 0x22, 0, Block);
        await using (ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-2"))
        {
            await vm.WriteAsync("vda", 0x33, 0, 3 * Block);

            Assert.Equal([new ByteRange(0, Block)], await capture.ChangedAsync(disk: 0));
            byte[] content = await capture.ReadAsync(0, 0, (int)(3 * Block));
            Assert.Equal((0x22, 0x11, 0x00), (content[0], content[Block], content[2 * Block]));
            await capture.EndAsync(default);
        }

        await using ICapture next = await hypervisor.CutAsync(vm, "us-2", "us-3");
        Assert.Equal([new ByteRange(0, 3 * Block)], await next.ChangedAsync(disk: 0));
        Assert.Equal(0x33, (await next.ReadAsync(0, 0, 512))[0]);
    }

    [Fact]
    public async Task Two_disks_are_cut_at_one_instant()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        using var stop = new CancellationTokenSource();
        Task writer = WriteDependentlyAsync(vm, stop.Token);
        string? since = null;
        for (int cycle = 1; cycle <= 5; cycle++)
        {
            await using ICapture capture = await hypervisor.CutAsync(vm, since, $"us-{cycle}");
            since = $"us-{cycle}";
            byte first = (await capture.ReadAsync(0, 0, 512))[0];
            byte second = (await capture.ReadAsync(1, 0, 512))[0];
            Assert.InRange(first - second, 0, 1); // The second disk is written only after the first.
            await capture.EndAsync(default);
        }

        await stop.CancelAsync();
        await writer;
    }

    [Fact]
    public async Task A_capture_leaves_neither_job_nor_files_behind()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        string scratch = Path.Combine(host.VmFolder, "scratch");
        await using (ICapture capture = await hypervisor.CutAsync(vm, since: null, "us-1"))
        {
            Assert.Equal(3, Directory.GetFiles(scratch).Length);
        }

        Assert.Empty(Directory.GetFiles(scratch));
        await hypervisor.CutAndEndAsync(vm, "us-1", "us-2");
        Assert.Empty(Directory.GetFiles(scratch));
    }

    [Fact]
    public async Task A_second_capture_of_the_same_vm_is_refused_as_busy_and_leaves_no_checkpoint()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await using ICapture running = await hypervisor.CutAsync(vm, since: null, "us-1");

        HypervisorException fault = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, "us-1", "us-2"));

        Assert.Equal(HypervisorFault.Busy, fault.Fault);
        Assert.Equal(["us-1"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
        Assert.Equal(512, (await running.ReadAsync(0, 0, 512)).Length);
    }

    [Fact]
    public async Task A_vm_that_is_off_cannot_be_captured_and_the_fault_says_so()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.DestroyAsync(vm.Id, default);

        HypervisorException fault = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, since: null, "us-1"));

        Assert.Equal(HypervisorFault.NotRunning, fault.Fault);
    }

    [Fact]
    public async Task Reading_a_capture_that_an_admin_aborted_says_so()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await using ICapture capture = await hypervisor.CutAsync(vm, since: null, "us-1");
        Tool.Run("virsh", "-q", "-c", host.Uri, "domjobabort", vm.Id.ToString());

        HypervisorException fault = await Capturing.FaultAsync(async () => await ReadForEverAsync(capture)); // Libvirt ends the export a moment later.

        Assert.Equal((HypervisorFault.Busy, FaultClass.Transient), (fault.Fault, fault.Class));
        await capture.EndAsync(default);
    }

    private static async Task ReadForEverAsync(ICapture capture)
    {
        while (true)
        {
            await capture.ReadAsync(0, 0, 512);
        }
    }

    /// <summary>Number n goes to the second disk only after it is on the first; n runs round in a byte and never passes 250 twice.</summary>
    private static async Task WriteDependentlyAsync(TestVm vm, CancellationToken cancellationToken)
    {
        for (byte number = 1; number < 250 && !cancellationToken.IsCancellationRequested; number++)
        {
            await vm.WriteAsync("vda", number, 0, 512);
            await vm.WriteAsync("vdb", number, 0, 512);
        }
    }
}
