using Understudy.Model;

namespace Understudy.Plans;

/// <summary>Would the VM's machine start at that host (REG-4)? Processor and firmware, as its hypervisor answered. Pure.</summary>
public static class FitChecks
{
    /// <param name="sourceCpu">The processor's model at the source, as libvirt names it; likewise at the target.</param>
    public static IReadOnlyList<Finding> Evaluate(string vm, string target, MachineNeeds needs, MachineFit fit, string? sourceCpu, string? targetCpu)
    {
        if (fit.MachineProblem is { } problem)
        {
            return [Unsuitable(vm, "machine", $"{target} cannot make a machine like {vm}'s ({needs.MachineType}): {problem}", "Bring QEMU there to the source's version, or give the VM an older machine type.")];
        }

        return [Cpu(vm, target, needs, fit, sourceCpu, targetCpu), Firmware(vm, target, needs, fit)];
    }

    private static Finding Cpu(string vm, string target, MachineNeeds needs, MachineFit fit, string? sourceCpu, string? targetCpu)
    {
        if (needs.CpuMode is null)
        {
            return Finding.Pass("CPU", "The hypervisor's default model.");
        }

        if (fit.Emulated)
        {
            return Finding.Pass("CPU", $"Emulated at {target}: nothing is asked of its own processor.");
        }

        return needs.CpuMode switch
        {
            "custom" => Named(vm, target, needs, fit),
            "host-model" => Finding.Pass("CPU", $"host-model: libvirt takes the named model that is nearest to {target}'s processor{(targetCpu is null ? "" : $", {targetCpu}")}."),
            _ => Finding.Warn(
                "CPU",
                $"{needs.CpuMode}: the guest sees whatever processor the host has, {sourceCpu ?? "unknown"} at its source and {targetCpu ?? "unknown"} at {target}.",
                "Fine while both are alike. Otherwise give the VM a model that both hosts have (`virsh domcapabilities` lists them), or see in a test that the guest works."),
        };
    }

    private static Finding Named(string vm, string target, MachineNeeds needs, MachineFit fit)
    {
        string model = needs.CpuModel ?? "the model of its definition";
        string lacks = $"Host {target} cannot provide {model}: {fit.CpuProblem}";
        const string Remedy = "Give the VM a model that both hosts have: `virsh domcapabilities` lists those that are usable.";
        return fit.Cpu switch
        {
            CpuFit.Provided => Finding.Pass("CPU", $"{target} can provide {model}."),
            CpuFit.Lacking when needs.CpuChecked => Unsuitable(vm, "CPU", lacks, Remedy),
            CpuFit.Lacking => Finding.Warn("CPU", $"{lacks.TrimEnd('.')}. Its definition says check='none', so it starts without.", Remedy),
            _ => Finding.Warn("CPU", $"Whether {target} can provide {model} could not be found out: {fit.CpuProblem}", "See in a test that the guest starts there."),
        };
    }

    private static Finding Firmware(string vm, string target, MachineNeeds needs, MachineFit fit)
    {
        const string Remedy = "Install the package that has it there (UEFI on Debian and Ubuntu: ovmf).";
        if (needs.Loader is { } loader && !fit.LoaderThere)
        {
            return Unsuitable(vm, "firmware", $"host {target} has no {loader}, or not in a folder of installed packages", $"{Remedy} Or let libvirt choose: `<os firmware='efi'>`.");
        }

        if (needs.Kernel is { } kernel && !fit.KernelThere)
        {
            return Unsuitable(
                vm,
                "kernel",
                $"VM {vm} boots the kernel {kernel} directly, and {target} has no such file, or not where a VM from another host may name it",
                "Put kernel and initrd into /var/lib/libvirt/boot on both hosts and name them there, or let the VM boot from its disk.");
        }

        if (needs.NvramTemplate is { } template && !fit.NvramTemplateThere)
        {
            return Unsuitable(vm, "firmware", $"host {target} has no {template}, which the firmware's variables begin with", Remedy);
        }

        if (needs is { Loader: null, Firmware: { } firmware } && !fit.Firmwares.Contains(firmware))
        {
            return Unsuitable(vm, "firmware", $"libvirt at {target} knows no {firmware} firmware", Remedy);
        }

        return Finding.Pass("firmware", (needs.Loader ?? needs.Firmware) is { } there ? $"{there} is at {target}." : "BIOS, part of QEMU.");
    }

    private static Finding Unsuitable(string vm, string name, string text, string remedy) => Finding.Fail(name, text, remedy, check => Errors.VmUnsuitable(vm, check));
}
