using Understudy.Blocks.Identity;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class InventoryTests(PrivateHost host)
{
    [Fact]
    public async Task Host_facts_are_what_the_host_is()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();

        HostFacts facts = await hypervisor.GetHostAsync(default);

        Assert.Equal(Environment.MachineName, facts.HostName);
        Assert.Equal(Environment.ProcessorCount, facts.Cpus);
        Assert.Contains("pc", facts.MachineTypes);
        Assert.Contains("q35", facts.MachineTypes);
        Assert.Matches(@"^\d+\.\d+\.\d+$", facts.HypervisorVersion);
        Assert.Matches(@"^\d+\.\d+\.\d+$", facts.EmulatorVersion);
        Assert.InRange(facts.FreeMemoryBytes, 1, facts.MemoryBytes);
    }

    [Fact]
    public async Task A_defined_vm_is_listed_with_its_disks_and_its_state_follows_it()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        VmId id;
        await using (TestVm vm = await TestVm.StartAsync(host, hypervisor))
        {
            id = vm.Id;
            VmFacts facts = Assert.Single(await hypervisor.ListVmsAsync(default), found => found.Id == id);
            Assert.Equal(VmRunState.Running, facts.State);
            Assert.True(facts.Persistent);
            Assert.True(facts.HasGuestAgentChannel);
            Assert.False(facts.HasSnapshots);
            Assert.Equal("bios", facts.Firmware);
            Assert.Equal(["vda", "vdb"], facts.Disks.Select(disk => disk.TargetDevice));
            Assert.All(facts.Disks, disk => Assert.Equal((TestVm.DiskBytes, "qcow2", "virtio"), (disk.SizeBytes, disk.Format, disk.Bus)));
            Assert.Equal(vm.PathOf("vda"), facts.Disks[0].Source);

            await hypervisor.SuspendAsync(id, default);
            Assert.Equal(VmRunState.Paused, await hypervisor.GetRunStateAsync(id, default));
            await hypervisor.ResumeAsync(id, default);
            await hypervisor.ResumeAsync(id, default);
            Assert.Equal(VmRunState.Running, await hypervisor.GetRunStateAsync(id, default));
            await hypervisor.DestroyAsync(id, default);
            await hypervisor.DestroyAsync(id, default);
            Assert.Equal(VmRunState.Off, await hypervisor.GetRunStateAsync(id, default));
            Assert.Equal(TestVm.DiskBytes, (await hypervisor.FindVmAsync(id, default))!.Disks[0].SizeBytes);
        }

        Assert.Equal(VmRunState.Absent, await hypervisor.GetRunStateAsync(id, default));
        Assert.Null(await hypervisor.FindVmAsync(id, default));
        await hypervisor.UndefineAsync(id, default);
        await hypervisor.DestroyAsync(id, default);
    }

    [Fact]
    public async Task A_host_that_is_not_there_is_unreachable_with_libvirts_words()
    {
        await using LibvirtHypervisor nowhere = host.Connect(host.Settings with { Uri = "qemu+unix:///system?socket=/nonexistent/sock" });

        var fault = await Assert.ThrowsAsync<HypervisorException>(async () => await nowhere.ListVmsAsync(default));

        Assert.Equal(HypervisorFault.Unreachable, fault.Fault);
        Assert.Contains("No such file or directory", fault.Message, StringComparison.Ordinal);
        Assert.NotNull(fault.Remedy);
    }
}
