using System.Runtime.InteropServices;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    public async ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken) =>
        await _connection.OnDomainAsync(vm, Lane.Query, "list the checkpoints", _settings.QueryLimit, ListCheckpoints, cancellationToken);

    /// <summary>
    /// Every checkpoint's bitmap records all the time, so the one before has the changes already. Where the VM is off
    /// libvirt refuses, and the bitmaps are removed from the images themselves, before libvirt's entry: cut short, it is
    /// simply done again.
    /// </summary>
    public async ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken)
    {
        try
        {
            await ChangeAsync(vm, $"delete checkpoint {name}", domain => DeleteCheckpoint(domain, name), cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault == HypervisorFault.NoSuchVm)
        {
        }
        catch (HypervisorException off) when (off.Fault == HypervisorFault.NotRunning)
        {
            await RemoveBitmapsAsync(vm, name, cancellationToken);
            await ChangeAsync(vm, $"forget checkpoint {name}", domain => ForgetCheckpoint(domain, name), cancellationToken);
        }
    }

    /// <summary>QEMU's lock on an image refuses this should the VM be started meanwhile.</summary>
    private async Task RemoveBitmapsAsync(VmId vm, string name, CancellationToken cancellationToken)
    {
        string definition = await GetDefinitionAsync(vm, DefinitionKind.Inactive, cancellationToken);
        DomainDescription description = DomainXml.Read(definition);
        foreach (VmDiskFacts disk in await FindVolumesAsync(description.Name, description.Disks, cancellationToken))
        {
            if (disk is { Format: "qcow2", Path: { } path })
            {
                await _images.RemoveBitmapAsync(path, name, cancellationToken);
            }
        }
    }

    /// <summary>Topological order is by age: libvirt keeps checkpoints in one chain.</summary>
    private static List<string> ListCheckpoints(DomainHandle domain)
    {
        int count = LibvirtLibrary.DomainListAllCheckpoints(domain, out nint array, LibvirtConstants.CheckpointListTopological);
        List<string> names = [];
        foreach (CheckpointHandle checkpoint in NativeResult.TakeArray(count, array, value => new CheckpointHandle(value)))
        {
            using (checkpoint)
            {
                names.Add(Marshal.PtrToStringUTF8(LibvirtLibrary.CheckpointGetName(checkpoint))!); // A checkpoint has a name.
            }
        }

        return names;
    }

    /// <summary>After a crash of QEMU libvirt lists a checkpoint whose bitmap was never stored: only the entry is left to delete.</summary>
    private static int DeleteCheckpoint(DomainHandle domain, string name)
    {
        using CheckpointHandle? checkpoint = FindCheckpoint(domain, name);
        if (checkpoint is null || LibvirtLibrary.CheckpointDelete(checkpoint, 0) >= 0)
        {
            return 0;
        }

        LibvirtException failure = LibvirtException.Last();
        return Faults.IsTrackingLost(failure) ? LibvirtLibrary.CheckpointDelete(checkpoint, LibvirtConstants.CheckpointDeleteMetadataOnly) : throw failure;
    }

    private static int ForgetCheckpoint(DomainHandle domain, string name)
    {
        using CheckpointHandle? checkpoint = FindCheckpoint(domain, name);
        return checkpoint is null ? 0 : LibvirtLibrary.CheckpointDelete(checkpoint, LibvirtConstants.CheckpointDeleteMetadataOnly);
    }

    private static CheckpointHandle? FindCheckpoint(DomainHandle domain, string name)
    {
        CheckpointHandle checkpoint = LibvirtLibrary.CheckpointLookupByName(domain, name, 0);
        if (!checkpoint.IsInvalid)
        {
            return checkpoint;
        }

        LibvirtException reason = LibvirtException.Last();
        checkpoint.Dispose();
        return reason.Code == LibvirtErrorCode.NoDomainCheckpoint ? null : throw reason;
    }
}
