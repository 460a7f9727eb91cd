using System.Globalization;
using System.Runtime.InteropServices;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    /// <summary>NUMA cells together: VIR_NODE_MEMORY_STATS_ALL_CELLS.</summary>
    private const int AllCells = -1;

    public async ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken)
    {
        HostFacts facts = await _connection.CallAsync("read the host's facts", _settings.QueryLimit, ReadHost, cancellationToken);
        return facts with
        {
            Networks = await ListNetworksAsync(cancellationToken),
            Pools = await ListPoolsAsync(cancellationToken),
        };
    }

    public async ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<VmId> ids = await _connection.CallAsync("list the VMs", _settings.QueryLimit, ListIds, cancellationToken);
        List<VmFacts> found = [];
        foreach (VmId id in ids)
        {
            if (await FindVmAsync(id, cancellationToken) is { } facts)
            {
                found.Add(facts); // One that was removed since is simply not there.
            }
        }

        return found;
    }

    /// <summary>Sizes are asked separately, since QEMU has to answer for them: a VM that hangs is listed all the same.</summary>
    public async ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken)
    {
        try
        {
            VmFacts facts = await _connection.OnDomainAsync(
                vm, Lane.Free, "read the facts", _settings.QueryLimit, domain => ReadVm(vm, domain), cancellationToken);
            VmFacts found = facts with { Disks = await FindVolumesAsync(facts.Name, facts.Disks, cancellationToken) };
            return found with { Disks = await ReadSizesAsync(found, cancellationToken) };
        }
        catch (HypervisorException gone) when (gone.Fault == HypervisorFault.NoSuchVm)
        {
            return null;
        }
    }

    public async ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken)
    {
        // Secure: with the passwords of consoles, without which the definition could not be used again elsewhere.
        uint flags = LibvirtConstants.XmlSecure | (kind == DefinitionKind.Inactive ? LibvirtConstants.XmlInactive : 0);
        return await _connection.OnDomainAsync(
            vm, Lane.Free, "read the definition", _settings.QueryLimit, domain => NativeResult.Take(LibvirtLibrary.DomainGetXml(domain, flags)), cancellationToken);
    }

    private static List<VmId> ListIds(ConnectHandle connect)
    {
        int count = LibvirtLibrary.ConnectListAllDomains(connect, out nint array, 0);
        List<VmId> ids = [];
        foreach (DomainHandle domain in NativeResult.TakeArray(count, array, value => new DomainHandle(value)))
        {
            using (domain)
            {
                ids.Add(DomainIds.Read(domain));
            }
        }

        ids.Sort((left, right) => left.Value.CompareTo(right.Value));
        return ids;
    }

    private static VmFacts ReadVm(VmId vm, DomainHandle domain)
    {
        (LibvirtDomainState found, int reason) = ReadState(domain);
        VmRunState state = ToRunState(found, reason);
        DomainDescription description = DomainXml.Read(NativeResult.Take(LibvirtLibrary.DomainGetXml(domain, 0)));
        bool persistent = NativeResult.Check(LibvirtLibrary.DomainIsPersistent(domain)) == 1;
        StoredDescription stored = persistent && state is not (VmRunState.Off or VmRunState.Crashed)
            ? ReadStored(domain)
            : new StoredDescription(description.Tags, description.Needs, description.LeftBehind);
        return new VmFacts(
            vm,
            description.Name,
            state,
            description.Cpus,
            description.MemoryBytes,
            description.Firmware,
            description.MachineType,
            persistent,
            description.HasGuestAgentChannel,
            NativeResult.Check(LibvirtLibrary.DomainSnapshotNum(domain, 0)) > 0,
            description.Disks,
            description.Nics,
            ReadAutostart(domain),
            stored.Tags,
            stored.Needs,
            IsSaved(found, reason) || NativeResult.Check(LibvirtLibrary.DomainHasManagedSave(domain, 0)) == 1,
            EndedByForce(found, reason),
            stored.LeftBehind);
    }

    /// <summary>Tags are changed in what is stored, and a processor that a running VM was given is no more what it asks for.</summary>
    private static StoredDescription ReadStored(DomainHandle domain) =>
        DomainXml.ReadStored(NativeResult.Take(LibvirtLibrary.DomainGetXml(domain, LibvirtConstants.XmlInactive)));

    private static bool ReadAutostart(DomainHandle domain)
    {
        NativeResult.Check(LibvirtLibrary.DomainGetAutostart(domain, out int autostart));
        return autostart != 0;
    }

    private async Task<IReadOnlyList<VmDiskFacts>> ReadSizesAsync(VmFacts facts, CancellationToken cancellationToken)
    {
        if (facts.State is VmRunState.Off or VmRunState.Crashed)
        {
            return await ReadImagesAsync(facts, cancellationToken);
        }

        if (!_storage.MayAskForSizes(facts.Id))
        {
            return facts.Disks;
        }

        try
        {
            await _storage.RequireConnectionAsync("read the disk sizes", cancellationToken);
            return await _storage.OnDomainAsync<IReadOnlyList<VmDiskFacts>>(
                facts.Id,
                Lane.Query,
                "read the disk sizes",
                _settings.QueryLimit,
                domain => [.. facts.Disks.Select(disk => disk with { SizeBytes = ReadSize(domain, facts.Name, disk) })],
                cancellationToken);
        }
        catch (HypervisorException hung) when (IsNoAnswer(hung))
        {
            _logger.SizeUnknown("(all)", facts.Name, hung.Message);
            return facts.Disks;
        }
    }

    /// <summary>In the lane of storage pools: these files are what pools consist of.</summary>
    private async Task<IReadOnlyList<VmDiskFacts>> ReadImagesAsync(VmFacts facts, CancellationToken cancellationToken)
    {
        try
        {
            return await _storage.OnFilesAsync<IReadOnlyList<VmDiskFacts>>(
                $"read the disk sizes of VM {facts.Name}",
                () => [.. facts.Disks.Select(disk => disk is { SizeBytes: 0, Path: { } path } ? disk with { SizeBytes = ImageSize.Read(path, disk.Format) } : disk)],
                cancellationToken);
        }
        catch (HypervisorException hung) when (IsNoAnswer(hung))
        {
            _logger.SizeUnknown("(all)", facts.Name, hung.Message);
            return facts.Disks;
        }
    }

    /// <summary>Zero when nobody knows: an empty drive, or a file that is not there.</summary>
    private unsafe long ReadSize(DomainHandle domain, string vmName, VmDiskFacts disk)
    {
        if (disk.Source is null)
        {
            return 0;
        }

        VirDomainBlockInfo info;
        if (LibvirtLibrary.DomainGetBlockInfo(domain, disk.TargetDevice, &info, 0) == 0)
        {
            return checked((long)info.CapacityBytes);
        }

        LibvirtException reason = LibvirtException.Last();
        _logger.SizeUnknown(disk.TargetDevice, vmName, reason.Message);
        return reason.FromConnection ? throw reason : disk.SizeBytes;
    }

    private static unsafe HostFacts ReadHost(ConnectHandle connect)
    {
        HostCapabilities capabilities = ReadCapabilities(connect);
        NativeResult.Check(LibvirtLibrary.ConnectGetLibVersion(connect, out nuint libvirt));
        NativeResult.Check(LibvirtLibrary.ConnectGetVersion(connect, out nuint qemu));
        VirNodeInfo node;
        NativeResult.Check(LibvirtLibrary.NodeGetInfo(connect, &node));
        (long total, long free) = ReadMemory(connect);
        return new HostFacts(
            NativeResult.Take(LibvirtLibrary.ConnectGetHostname(connect)),
            VersionText(libvirt),
            VersionText(qemu),
            HasKvm(connect, capabilities),
            total,
            free,
            (int)node.Cpus,
            capabilities.MachineTypes,
            [],
            capabilities.CpuModel,
            ReadFirmwares(connect, capabilities),
            capabilities.MachineCpus);
    }

    private static HostCapabilities ReadCapabilities(ConnectHandle connect) =>
        CapabilitiesXml.Read(NativeResult.Take(LibvirtLibrary.ConnectGetCapabilities(connect)));

    /// <summary>Null when libvirt does not say.</summary>
    private static IReadOnlyList<string>? ReadFirmwares(ConnectHandle connect, HostCapabilities capabilities)
    {
        nint text = LibvirtLibrary.ConnectGetDomainCapabilities(connect, capabilities.Emulator, capabilities.Architecture, null, null, 0);
        return text == 0 ? null : CapabilitiesXml.ReadDomain(NativeResult.Take(text)).Firmwares;
    }

    /// <summary>Libvirt refuses capabilities for a type that this host cannot run.</summary>
    private static bool HasKvm(ConnectHandle connect, HostCapabilities capabilities)
    {
        nint text = LibvirtLibrary.ConnectGetDomainCapabilities(connect, capabilities.Emulator, capabilities.Architecture, null, "kvm", 0);
        return text != 0 && CapabilitiesXml.IsKvm(NativeResult.Take(text));
    }

    /// <summary>
    /// Free for a new VM is what is unused and what the kernel only caches. The total comes from the same source:
    /// virNodeGetInfo leaves out memory that was plugged in later.
    /// </summary>
    private static unsafe (long Total, long Free) ReadMemory(ConnectHandle connect)
    {
        const int MostStats = 16;
        VirNodeMemoryStat* stats = stackalloc VirNodeMemoryStat[MostStats];
        int count = 0;
        NativeResult.Check(LibvirtLibrary.NodeGetMemoryStats(connect, AllCells, null, ref count, 0));
        count = Math.Min(count, MostStats);
        NativeResult.Check(LibvirtLibrary.NodeGetMemoryStats(connect, AllCells, stats, ref count, 0));
        (long total, long free) = (0, 0);
        for (int i = 0; i < count; i++)
        {
            long bytes = (long)stats[i].Kibibytes * 1024;
            switch (Marshal.PtrToStringUTF8((nint)stats[i].Field))
            {
                case "total":
                    total = bytes;
                    break;
                case "free" or "buffers" or "cached":
                    free += bytes;
                    break;
            }
        }

        return (total, free);
    }

    /// <summary>Libvirt packs 7.2.22 as 7002022.</summary>
    private static string VersionText(nuint packed) =>
        string.Create(CultureInfo.InvariantCulture, $"{packed / 1_000_000}.{packed / 1000 % 1000}.{packed % 1000}");
}
