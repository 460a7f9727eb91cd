using Understudy.Blocks;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class StaleCaptureTests(PrivateHost host)
{
    [Fact]
    public async Task A_capture_that_a_killed_agent_left_is_ended_and_its_files_are_deleted()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using LibvirtHypervisor killed = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        string scratch = Path.Combine(host.VmFolder, "scratch");
        await using ICapture left = await killed.CutAsync(vm, since: null, "us-1"); // Another process as far as the first knows.
        await vm.WriteAsync("vda", 0x11, 0, BlockSize.Bytes);
        string stranger = Path.Combine(scratch, "us-0000000000000000-000000000000.sock");
        await File.WriteAllTextAsync(stranger, "of another VM");

        await hypervisor.ClearStaleCaptureAsync(vm.Id, default);

        Assert.Equal([stranger], Directory.GetFiles(scratch));
        await using ICapture next = await hypervisor.CutAsync(vm, "us-1", "us-2");
        Assert.Equal([new ByteRange(0, BlockSize.Bytes)], await next.ChangedAsync(disk: 0));
        File.Delete(stranger);
    }

    [Fact]
    public async Task A_capture_of_this_process_is_not_stale()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await using ICapture running = await hypervisor.CutAsync(vm, since: null, "us-1");

        await hypervisor.ClearStaleCaptureAsync(vm.Id, default);

        Assert.Equal(512, (await running.ReadAsync(0, 0, 512)).Length);
    }

    [Fact]
    public async Task A_backup_of_somebody_else_is_never_ended()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        string socket = vm.NewPath("theirs.sock");
        string request = vm.NewPath("theirs.xml");
        File.SetUnixFileMode(Path.GetDirectoryName(socket)!, (UnixFileMode)0b111_111_111);
        await File.WriteAllTextAsync(request, $"<domainbackup mode='pull'><server transport='unix' socket='{socket}'/></domainbackup>");
        Tool.Run("virsh", "-q", "-c", host.Uri, "backup-begin", vm.Id.ToString(), request);

        await hypervisor.ClearStaleCaptureAsync(vm.Id, default);

        Assert.Contains(socket, Tool.Run("virsh", "-q", "-c", host.Uri, "backup-dumpxml", vm.Id.ToString()), StringComparison.Ordinal);
        Assert.Equal(HypervisorFault.Busy, (await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, since: null, "us-1"))).Fault);
        Tool.Run("virsh", "-q", "-c", host.Uri, "domjobabort", vm.Id.ToString());
    }

    [Fact]
    public async Task A_backup_that_libvirt_has_lost_is_named_with_what_to_do_about_it_and_no_lock_is_waited_for()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        vm.LoseBackup(host);

        long asked = Environment.TickCount64;
        HypervisorException lost = await Capturing.FaultAsync(async () => await hypervisor.CutAsync(vm, "us-1", "us-2"));

        Assert.Contains("backup job data missing", lost.Message, StringComparison.Ordinal);
        Assert.Contains("Shut the VM down and start it", lost.Remedy, StringComparison.Ordinal);
        Assert.InRange(Environment.TickCount64 - asked, 0, 20_000); // Libvirt gives up on its lock after 30 s.

        await vm.WriteAsync("vda", 0x11, 0, BlockSize.Bytes);
        vm.ForgetLostBackup(host);
        await using ICapture next = await hypervisor.CutAsync(vm, "us-1", "us-2");
        Assert.Equal([new ByteRange(0, BlockSize.Bytes)], await next.ChangedAsync(disk: 0));
    }
}
