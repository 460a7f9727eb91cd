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
    public async Task Tags_are_those_of_the_stored_definition_also_while_the_vm_runs()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        Assert.Empty((await hypervisor.FindVmAsync(vm.Id, default))!.Tags!); // it is there, and has some

        Tool.Run("virsh", [
            "-c", host.Uri, "metadata", vm.Id.ToString(), "--uri", "urn:understudy:tags:1", "--key", "understudy", "--set", "<tags>prod, front</tags>", "--config"]);

        Assert.Equal(["prod", "front"], (await hypervisor.FindVmAsync(vm.Id, default))!.Tags!); // as above
    }

    [Fact]
    public async Task What_a_machine_needs_is_compared_with_what_the_host_has()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        MachineNeeds needs = (await hypervisor.FindVmAsync(vm.Id, default))!.Needs!; // it is there, and has them
        MachineFit fit = await hypervisor.CheckFitAsync(needs, default);
        Assert.Equal((null, true, true), (fit.MachineProblem, fit.LoaderThere, fit.NvramTemplateThere));
        Assert.Equal((await hypervisor.GetHostAsync(default)).Firmwares, fit.Firmwares);

        Assert.NotNull((await hypervisor.CheckFitAsync(needs with { MachineType = "pc-q35-99.0" }, default)).MachineProblem);
        Assert.False((await hypervisor.CheckFitAsync(needs with { Loader = "/nowhere/CODE.fd" }, default)).LoaderThere);
        Assert.False((await hypervisor.CheckFitAsync(needs with { NvramTemplate = "/nowhere/VARS.fd" }, default)).NvramTemplateThere);
        Assert.False((await hypervisor.CheckFitAsync(needs with { Loader = "/etc/hostname" }, default)).LoaderThere); // there, and no VM of another host is shown it
        Assert.False((await hypervisor.CheckFitAsync(needs with { Kernel = "/etc/hostname" }, default)).KernelThere);
        Assert.True((await hypervisor.CheckFitAsync(needs, default)).KernelThere);
        MachineNeeds emulated = needs with { DomainType = "qemu", CpuMode = "custom" };
        Assert.Equal(CpuFit.Provided, (await hypervisor.CheckFitAsync(emulated with { CpuXml = "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>" }, default)).Cpu);
        MachineFit lacking = await hypervisor.CheckFitAsync(
            emulated with { CpuXml = "<cpu mode='custom' match='exact'><model>qemu64</model><feature policy='require' name='amx-tile'/></cpu>" }, default);
        Assert.Equal(CpuFit.Lacking, lacking.Cpu);
        Assert.Contains("amx-tile", lacking.CpuProblem, StringComparison.Ordinal);
        Assert.Equal(CpuFit.Lacking, (await hypervisor.CheckFitAsync(emulated with { CpuXml = "<cpu mode='custom' match='exact'><model>NoSuchCpu</model></cpu>" }, default)).Cpu);
    }

    [Fact]
    public async Task A_saved_memory_is_seen_until_the_vm_is_started()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        Assert.False((await hypervisor.FindVmAsync(vm.Id, default))!.HasSavedState);
        Tool.Run("virsh", "-c", host.Uri, "managedsave", vm.Id.ToString());
        VmFacts saved = (await hypervisor.FindVmAsync(vm.Id, default))!;
        Assert.Equal((VmRunState.Off, true), (saved.State, saved.HasSavedState));
        Tool.Run("virsh", "-c", host.Uri, "managedsave-remove", vm.Id.ToString());
        Assert.True((await hypervisor.FindVmAsync(vm.Id, default))!.HasSavedState); // libvirt does not tell this from a memory saved to a file
        await hypervisor.StartAsync(vm.Id, default);
        Assert.False((await hypervisor.FindVmAsync(vm.Id, default))!.HasSavedState);
    }

    [Fact]
    public async Task A_memory_saved_to_a_file_is_seen_until_the_vm_goes_on_and_one_that_is_destroyed_was_ended_by_force()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        string file = vm.PathOf("vda") + ".save";
        Tool.Run("virsh", "-c", host.Uri, "save", vm.Id.ToString(), file);
        VmFacts saved = (await hypervisor.FindVmAsync(vm.Id, default))!;
        Assert.Equal((VmRunState.Off, true, false), (saved.State, saved.HasSavedState, saved.EndedByForce));
        Tool.Run("virsh", "-c", host.Uri, "restore", file);
        VmFacts goesOn = (await hypervisor.FindVmAsync(vm.Id, default))!;
        Assert.Equal((VmRunState.Running, false, false), (goesOn.State, goesOn.HasSavedState, goesOn.EndedByForce));
        await hypervisor.DestroyAsync(vm.Id, default);
        VmFacts destroyed = (await hypervisor.FindVmAsync(vm.Id, default))!;
        Assert.Equal((VmRunState.Off, false, true), (destroyed.State, destroyed.HasSavedState, destroyed.EndedByForce));
        File.Delete(file);
    }

    [Fact]
    public async Task A_volume_of_a_pool_is_the_file_it_is_running_off_and_with_its_pool_away()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1);
        string file = vm.PathOf("vda");
        string pool = vm.NewPath("pool.xml");
        await File.WriteAllTextAsync(pool, $"<pool type='dir'><name>us-volumes</name><target><path>{Path.GetDirectoryName(file)}</path></target></pool>");
        Virsh("pool-define", pool);
        try
        {
            Virsh("pool-start", "us-volumes");
            await hypervisor.DestroyAsync(vm.Id, default);
            string definition = await hypervisor.GetDefinitionAsync(vm.Id, DefinitionKind.Inactive, default);
            await hypervisor.DefineAsync(
                definition.Replace("type='file' device='disk'", "type='volume' device='disk'", StringComparison.Ordinal)
                    .Replace($"file='{file}'", $"pool='us-volumes' volume='{Path.GetFileName(file)}'", StringComparison.Ordinal),
                default);
            Assert.Equal(("volume", file, TestVm.DiskBytes), await DiskAsync());
            Virsh("pool-destroy", "us-volumes");
            Assert.Equal(("volume", file, TestVm.DiskBytes), await DiskAsync());
            Virsh("pool-start", "us-volumes");
            await hypervisor.StartAsync(vm.Id, default);
            Assert.Equal(("volume", file, TestVm.DiskBytes), await DiskAsync());
        }
        finally
        {
            await hypervisor.DestroyAsync(vm.Id, default);
            Virsh("pool-destroy", "us-volumes");
            Virsh("pool-undefine", "us-volumes");
        }

        async Task<(string, string?, long)> DiskAsync()
        {
            VmDiskFacts disk = Assert.Single((await hypervisor.FindVmAsync(vm.Id, default))!.Disks);
            return (disk.SourceType, disk.Path, disk.SizeBytes);
        }

        void Virsh(params string[] words) => Tool.Run("virsh", ["-c", host.Uri, .. words]);
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
