using Understudy.Blocks;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class BlockJobTests(PrivateHost host)
{
    private const long Block = BlockSize.Bytes;

    /// <summary>The commit of a failover (docs/protocols/libvirt.md): overlay over a served view, second overlay over the base, base alone.</summary>
    [Fact]
    public async Task A_running_vm_moves_from_its_overlay_onto_the_one_plain_base_and_tracking_follows()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1, OverlayWithBitmap);
        string basePath = vm.NewPath("base.qcow2");
        string second = vm.NewPath("second.qcow2");
        await vm.WriteAsync("vda", 0x11, Block, 512);
        Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", basePath, second);

        await hypervisor.StartShallowCopyAsync(vm.Id, "vda", second, "qcow2", default);
        await vm.WriteAsync("vda", 0x22, 3 * Block, 512);
        await WaitUntilReadyAsync(hypervisor, vm, BlockJobKind.Copy);
        await hypervisor.PivotAsync(vm.Id, "vda", default);
        Assert.Null(await hypervisor.GetBlockJobAsync(vm.Id, "vda", default));
        Assert.Equal(second, (await hypervisor.FindVmAsync(vm.Id, default))!.Disks[0].Source);
        await vm.WriteAsync("vda", 0x33, 5 * Block, 512);

        await hypervisor.StartActiveCommitAsync(vm.Id, "vda", default);
        await WaitUntilReadyAsync(hypervisor, vm, BlockJobKind.ActiveCommit);
        await hypervisor.PivotAsync(vm.Id, "vda", default);
        await vm.WriteAsync("vda", 0x44, 7 * Block, 512);

        Assert.Equal(basePath, (await hypervisor.FindVmAsync(vm.Id, default))!.Disks[0].Source);
        Assert.Contains(basePath, await hypervisor.GetDefinitionAsync(vm.Id, DefinitionKind.Inactive, default), StringComparison.Ordinal);
        await hypervisor.RedefineCheckpointAsync(vm.Id, "us-boot", ["vda"], default);
        Assert.Equal(["us-boot"], await hypervisor.ListCheckpointsAsync(vm.Id, default));
        await using (ICapture capture = await hypervisor.CutAsync(vm, "us-boot", "us-1", "vda"))
        {
            Assert.Equal(
                [new ByteRange(Block, Block), new ByteRange(3 * Block, Block), new ByteRange(5 * Block, Block), new ByteRange(7 * Block, Block)],
                await capture.ChangedAsync(disk: 0));
            Assert.Equal(0xEE, (await capture.ReadAsync(0, 0, 512))[0]);
            Assert.Equal(0x33, (await capture.ReadAsync(0, 5 * Block, 512))[0]);
        }

        await vm.StopCleanlyAsync(host);
        Tool.Run("qemu-img", "check", "-q", basePath);
    }

    [Fact]
    public async Task A_copy_that_is_aborted_leaves_the_vm_where_it_was()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1);
        string copy = vm.NewPath("copy.qcow2");
        Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", copy, "16M");
        await hypervisor.StartShallowCopyAsync(vm.Id, "vda", copy, "qcow2", default);

        HypervisorException busy = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, since: null, "us-1", "vda"));
        await hypervisor.AbortBlockJobAsync(vm.Id, "vda", default);
        await hypervisor.AbortBlockJobAsync(vm.Id, "vda", default);

        Assert.Equal(HypervisorFault.Busy, busy.Fault);
        Assert.Null(await hypervisor.GetBlockJobAsync(vm.Id, "vda", default));
        Assert.Equal(vm.PathOf("vda"), (await hypervisor.FindVmAsync(vm.Id, default))!.Disks[0].Source);
    }

    /// <summary>The VM's disk becomes an overlay that records its writes in a bitmap, as before the first boot after a failover.</summary>
    private static void OverlayWithBitmap(string diskPath)
    {
        string basePath = Path.Combine(Path.GetDirectoryName(diskPath)!, "base.qcow2");
        File.Move(diskPath, basePath);
        Tool.Run("qemu-io", "-f", "qcow2", "-c", "write -q -P 0xEE 0 64k", basePath);
        Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", basePath, diskPath);
        Tool.Run("qemu-img", "bitmap", "--add", "-g", "65536", diskPath, "us-boot");
    }

    private static async Task WaitUntilReadyAsync(LibvirtHypervisor hypervisor, TestVm vm, BlockJobKind kind)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            BlockJobFacts? job = await hypervisor.GetBlockJobAsync(vm.Id, "vda", limit.Token);
            Assert.Equal(kind, job?.Kind);
            if (job!.Ready)
            {
                Assert.Equal(job.TotalBytes, job.DoneBytes);
                return;
            }

            await Task.Delay(20, limit.Token);
        }
    }
}
