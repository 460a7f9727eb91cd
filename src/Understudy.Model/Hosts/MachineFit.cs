using System.Text.Json.Serialization;

namespace Understudy.Model;

/// <summary>What a VM's definition asks of a hypervisor beside memory, disks and networks (REG-4).</summary>
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

/// <summary>What a host's hypervisor says to that.</summary>
/// <param name="Emulated">The VM asks for KVM, and there is none.</param>
/// <param name="MachineProblem">Why it cannot make such a machine at all; null when it can.</param>
/// <param name="Firmwares">That libvirt can choose there.</param>
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

/// <summary>Of a processor that the definition names.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CpuFit>))]
public enum CpuFit
{
    [JsonStringEnumMemberName("provided")] Provided,
    [JsonStringEnumMemberName("lacking")] Lacking,
    [JsonStringEnumMemberName("not compared")] NotCompared,
}
