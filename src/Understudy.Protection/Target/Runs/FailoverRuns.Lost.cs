using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Runs;

/// <summary>The end of a VM that was claimed at its source while its commit was under way here, or after it.</summary>
internal sealed partial class FailoverRuns
{
    /// <summary>
    /// For the end of the protection: with its fence gone it could be started beside the other copy, so it is no VM any more.
    /// What it wrote may be the only copy there is, and stays as image files. Begun again, it ends in the same way.
    /// </summary>
    /// <param name="kept">The files, and how to put them together again where they are two.</param>
    public async ValueTask EndLostAsync(List<string> gone, List<string> kept, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        FailoverRecord lost = Current ?? throw new InvariantException("a VM has lost that was never failed over");
        if (await IsOursAsync(lost, cancellationToken))
        {
            await EndGuestAsync(cancellationToken);
            foreach (string checkpoint in await Hypervisor.ListCheckpointsAsync(context.Spec.Vm, cancellationToken))
            {
                await Hypervisor.DeleteCheckpointAsync(context.Spec.Vm, checkpoint, cancellationToken);
            }

            await Hypervisor.UndefineAsync(context.Spec.Vm, cancellationToken);
            gone.Add($"VM {lost.VmName}, which was claimed at its source");
        }

        await EndServingAsync(lost, cancellationToken);
        foreach (FailoverDisk disk in lost.Disks)
        {
            await KeepAsync(lost, disk, kept, cancellationToken);
        }
    }

    private async ValueTask KeepAsync(FailoverRecord lost, FailoverDisk disk, List<string> kept, CancellationToken cancellationToken)
    {
        IImageTool images = context.Services.Images;
        foreach (string path in (string[])[disk.Base, disk.SecondOverlay, disk.Overlay])
        {
            if (await images.FindAsync(path, cancellationToken) is not null)
            {
                await images.RemoveBitmapAsync(path, lost.Bitmap, cancellationToken);
                kept.Add(path == disk.Base
                    ? $"image {path}"
                    : $"image {path}, what was written over {disk.Base} (qemu-img rebase -u -F qcow2 -b {disk.Base} {path} puts the two together)");
            }
        }
    }

    private async ValueTask EndGuestAsync(CancellationToken cancellationToken)
    {
        if (await Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken) is not (VmRunState.Off or VmRunState.Crashed or VmRunState.Absent))
        {
            await Hypervisor.DestroyAsync(context.Spec.Vm, cancellationToken);
        }
    }

    /// <summary>Its disks are those of this failover, wherever its commit has come to.</summary>
    private async ValueTask<bool> IsOursAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (await Hypervisor.FindVmAsync(context.Spec.Vm, cancellationToken) is null)
        {
            return false;
        }

        string definition = await Hypervisor.GetDefinitionAsync(context.Spec.Vm, DefinitionKind.Inactive, cancellationToken);
        return failover.Disks.All(disk => DiskPlaces.PlaceOf(definition, disk) is DiskPlace.OnOverlay or DiskPlace.OnSecondOverlay or DiskPlace.OnBase);
    }
}
