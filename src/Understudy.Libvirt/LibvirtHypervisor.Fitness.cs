using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Definition;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor : IHostFitness
{
    /// <summary>VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE: the error names what is lacking.</summary>
    private const uint CompareCpuFailIncompatible = 1;

    public async ValueTask<MachineFit> CheckFitAsync(MachineNeeds needs, CancellationToken cancellationToken) =>
        await _connection.CallAsync("check what a VM needs", _settings.QueryLimit, connect => ReadFit(connect, needs), cancellationToken);

    private static MachineFit ReadFit(ConnectHandle connect, MachineNeeds needs)
    {
        HostCapabilities capabilities = ReadCapabilities(connect);
        bool emulated = needs.DomainType == "kvm" && !HasKvm(connect, capabilities);
        string type = emulated ? "qemu" : needs.DomainType;
        string? emulator = needs.Architecture == capabilities.Architecture ? capabilities.Emulator : null;
        bool loader = needs.Loader is null || (HostFiles.MayBeFirmware(needs.Loader) && File.Exists(needs.Loader));
        bool template = needs.NvramTemplate is null || (HostFiles.MayBeFirmware(needs.NvramTemplate) && File.Exists(needs.NvramTemplate));
        bool kernel = new[] { needs.Kernel, needs.Initrd }.OfType<string>().All(file => HostFiles.MayBeBooted(file) && File.Exists(file));
        nint text = LibvirtLibrary.ConnectGetDomainCapabilities(connect, emulator, needs.Architecture, needs.MachineType, type, 0);
        if (text == 0)
        {
            LibvirtException reason = LibvirtException.Last();
            return reason.FromConnection ? throw reason : new MachineFit(emulated, reason.Message, [], loader, template, CpuFit.NotCompared, null, kernel);
        }

        DomainCapabilities can = CapabilitiesXml.ReadDomain(NativeResult.Take(text));
        (CpuFit cpu, string? problem) = emulated || needs.CpuXml is not { } xml ? (CpuFit.NotCompared, null) : CompareCpu(connect, emulator, needs, type, xml);
        return new MachineFit(emulated, null, can.Firmwares, loader, template, cpu, problem, kernel);
    }

    /// <summary>With the processor that the hypervisor can give a guest, which is not always the host's own.</summary>
    private static (CpuFit Fit, string? Problem) CompareCpu(ConnectHandle connect, string? emulator, MachineNeeds needs, string type, string xml)
    {
        if (LibvirtLibrary.ConnectCompareHypervisorCpu(connect, emulator, needs.Architecture, needs.MachineType, type, xml, CompareCpuFailIncompatible) >= 0)
        {
            return (CpuFit.Provided, null);
        }

        LibvirtException reason = LibvirtException.Last();
        return reason.FromConnection ? throw reason
            : reason.Code is LibvirtErrorCode.NoSupport or LibvirtErrorCode.OperationUnsupported or LibvirtErrorCode.ConfigUnsupported ? (CpuFit.NotCompared, reason.Message)
            : (CpuFit.Lacking, reason.Message);
    }
}
