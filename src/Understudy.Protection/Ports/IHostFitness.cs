namespace Understudy.Protection.Ports;

/// <summary>Can a VM's machine be made here? Asked before anything depends on it (REG-4).</summary>
public interface IHostFitness
{
    ValueTask<MachineFit> CheckFitAsync(MachineNeeds needs, CancellationToken cancellationToken);
}

/// <summary>What a definition asks of a hypervisor beside memory, disks and networks.</summary>
/// <param name="DomainType">kvm, qemu, …</param>
/// <param name="CpuMode">Null for the hypervisor's default processor.</param>
/// <param name="CpuModel">Of a named one.</param>
/// <param name="CpuChecked">False where the definition itself says that features may be missing.</param>
/// <param name="CpuXml">Of a named one, whole.</param>
/// <param name="Firmware">That libvirt is to choose, e.g. efi; null where the definition names files, or none.</param>
/// <param name="Loader">Path of the firmware.</param>
/// <param name="NvramTemplate">Path of what its variables begin with.</param>
/// <param name="Kernel">Path of a kernel that is booted directly; null where the VM boots from its disks. Likewise the initrd.</param>
public sealed record MachineNeeds(
    string DomainType,
    string Architecture,
    string MachineType,
    string? CpuMode,
    string? CpuModel,
    bool CpuChecked,
    string? CpuXml,
    string? Firmware,
    string? Loader,
    string? NvramTemplate,
    string? Kernel = null,
    string? Initrd = null);

/// <param name="Emulated">The VM asks for KVM, and there is none.</param>
/// <param name="MachineProblem">Why the hypervisor cannot make such a machine at all; null when it can.</param>
/// <param name="Firmwares">That libvirt can choose here.</param>
/// <param name="Cpu">Of a named processor.</param>
/// <param name="CpuProblem">In libvirt's words.</param>
/// <param name="KernelThere">Kernel and initrd, where a VM from another host may name them; likewise loader and template.</param>
public sealed record MachineFit(
    bool Emulated,
    string? MachineProblem,
    IReadOnlyList<string> Firmwares,
    bool LoaderThere,
    bool NvramTemplateThere,
    CpuFit Cpu,
    string? CpuProblem,
    bool KernelThere = true);

public enum CpuFit
{
    Provided,
    Lacking,
    NotCompared,
}
