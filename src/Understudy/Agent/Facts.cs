using Understudy.Model;
using Understudy.Protection.Ports;
using HostFacts = Understudy.Model.HostFacts;

namespace Understudy.Agent;

/// <summary>What the hypervisor port says, in the control plane's words.</summary>
internal static class Facts
{
    public static HostFacts Of(Protection.Ports.HostFacts host, IReadOnlyList<HostPool> pools, StorageSpace replicas, StorageSpace spool) => new(
        host.HostName, AgentVersion.Text, null, host.HypervisorVersion, host.EmulatorVersion, host.HardwareAcceleration, host.Cpus,
        host.MemoryBytes, host.FreeMemoryBytes, host.MachineTypes,
        [.. host.Networks.Select(n => new HostNetwork(n.Name, n.Active, n.Isolated, n.Bridge))], replicas, spool,
        CpuModel: host.CpuModel, Firmwares: host.Firmwares, MachineCpus: host.MachineCpus, Pools: pools);

    /// <summary>A host whose hypervisor does not answer is still a host: the reason is one of its facts.</summary>
    public static HostFacts Unreachable(string why, StorageSpace replicas, StorageSpace spool) => new(
        Environment.MachineName, AgentVersion.Text, why, "", "", false, Environment.ProcessorCount, 0, 0, [], [], replicas, spool);

    public static DiscoveredVm Of(VmFacts vm, bool onlyWhileProtected = false) => new(
        vm.Id, vm.Name, Of(vm.State), vm.Cpus, vm.MemoryBytes, vm.Firmware, vm.MachineType, vm.Persistent, vm.HasGuestAgentChannel, vm.HasSnapshots,
        [.. vm.Disks.Select(d => new DiscoveredDisk(d.TargetDevice, d.Bus, d.Device, d.Format, d.SourceType, d.Source, d.SizeBytes, d.ReadOnly, d.Shareable))],
        [.. vm.Nics.Select(n => new DiscoveredNic(n.Mac, n.Network, n.Model))],
        vm.Tags,
        onlyWhileProtected,
        vm.Needs is { } needs ? Of(needs) : null,
        vm.HasSavedState,
        vm.LeftBehind);

    public static Protection.Ports.MachineNeeds Of(Model.MachineNeeds needs) => new(
        needs.DomainType, needs.Architecture, needs.MachineType, needs.CpuMode, needs.CpuModel, needs.CpuChecked, needs.CpuXml, needs.Firmware, needs.Loader, needs.NvramTemplate, needs.Kernel, needs.Initrd);

    public static Model.MachineFit Of(Protection.Ports.MachineFit fit) => new(
        fit.Emulated,
        fit.MachineProblem,
        fit.Firmwares,
        fit.LoaderThere,
        fit.NvramTemplateThere,
        fit.Cpu switch
        {
            Protection.Ports.CpuFit.Provided => Model.CpuFit.Provided,
            Protection.Ports.CpuFit.Lacking => Model.CpuFit.Lacking,
            Protection.Ports.CpuFit.NotCompared => Model.CpuFit.NotCompared,
            _ => throw new System.Diagnostics.UnreachableException($"fit {fit.Cpu}"),
        },
        fit.CpuProblem,
        fit.KernelThere);

    private static Model.MachineNeeds Of(Protection.Ports.MachineNeeds needs) => new(
        needs.DomainType, needs.Architecture, needs.MachineType, needs.CpuMode, needs.CpuModel, needs.CpuChecked, needs.CpuXml, needs.Firmware, needs.Loader, needs.NvramTemplate, needs.Kernel, needs.Initrd);

    public static VmPower Of(VmRunState state) => state switch
    {
        VmRunState.Absent or VmRunState.Off => VmPower.Off,
        VmRunState.Running => VmPower.Running,
        VmRunState.Paused => VmPower.Paused,
        VmRunState.PausedIoError => VmPower.PausedIoError,
        VmRunState.ShuttingDown => VmPower.ShuttingDown,
        VmRunState.Crashed => VmPower.Crashed,
        _ => throw new System.Diagnostics.UnreachableException($"run state {state}"),
    };

    /// <param name="space">Null, or with an error, where it is not known; whoever puts something there hears why.</param>
    public static HostPool Of(PoolFacts pool, StorageSpace? space) => new(pool.Name, pool.Type, pool.Path, pool.Active, space?.FreeBytes ?? 0, space?.TotalBytes ?? 0);

    /// <summary>May block for as long as the file system does: asked through Spaces.</summary>
    public static StorageSpace Space(string folder)
    {
        try
        {
            if (!Directory.Exists(folder))
            {
                return new StorageSpace(folder, 0, 0, "it is not there");
            }

            DriveInfo drive = new(folder);
            return new StorageSpace(folder, drive.AvailableFreeSpace, drive.TotalSize, null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new StorageSpace(folder, 0, 0, e.Message);
        }
    }
}
