using System.Diagnostics;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Runs;

/// <summary>Moving the running VM's disks: the decision is made anew from what the hypervisor says, every time.</summary>
internal sealed partial class FailoverRuns
{
    /// <summary>Pivots that fail are repeated with a new job; after so many something else is wrong and a person hears of it.</summary>
    private const int MostPivots = 3;

    private async ValueTask<string?> MoveDisksAsync(
        FailoverRecord failover, Func<DiskPlace?, DiskPlace, BlockJobFacts?, DiskMove> decide, CancellationToken cancellationToken)
    {
        foreach (FailoverDisk disk in failover.Disks)
        {
            if (await MoveDiskAsync(failover, disk, decide, cancellationToken) is { } waiting)
            {
                return waiting;
            }
        }

        return null;
    }

    private async ValueTask<string?> MoveDiskAsync(
        FailoverRecord failover, FailoverDisk disk, Func<DiskPlace?, DiskPlace, BlockJobFacts?, DiskMove> decide, CancellationToken cancellationToken)
    {
        for (int pivots = 0; ;)
        {
            (DiskMove move, BlockJobFacts? job) = await DecideAsync(disk, decide, cancellationToken);
            switch (move)
            {
                case DiskMove.Done:
                    return null;
                case DiskMove.WaitForStart:
                    return $"VM {failover.VmName} is off: its disks are moved while it runs (start it to go on)";
                case DiskMove.WaitForForeignJob:
                    return $"disk {disk.TargetDevice} of VM {failover.VmName} is in another block job ({job?.Kind})";
                case DiskMove.Stop:
                    return $"disk {disk.TargetDevice} of VM {failover.VmName} is not where the failover put it: somebody moved it, and it is left as it is";
                case DiskMove.StartCopy:
                    await context.Services.Images.DeleteAsync(disk.SecondOverlay, cancellationToken);
                    await context.Services.Images.CreateOverlayAsync(disk.SecondOverlay, new ImageBacking.File(disk.Base, "qcow2"), null, cancellationToken);
                    await context.Services.Hypervisor.StartShallowCopyAsync(context.Spec.Vm, disk.TargetDevice, disk.SecondOverlay, "qcow2", cancellationToken);
                    break;
                case DiskMove.StartMerge:
                    await context.Services.Hypervisor.StartActiveCommitAsync(context.Spec.Vm, disk.TargetDevice, cancellationToken);
                    break;
                case DiskMove.Wait:
                    await Task.Delay(context.Services.Settings.JobPollEvery, context.Services.Time, cancellationToken);
                    break;
                case DiskMove.Pivot when pivots == MostPivots:
                    return $"disk {disk.TargetDevice} of VM {failover.VmName} could not be moved in {MostPivots} attempts; it is tried again";
                case DiskMove.Pivot:
                    pivots++;
                    await PivotAsync(disk, cancellationToken);
                    break;
                default:
                    throw new UnreachableException();
            }
        }
    }

    private async ValueTask<(DiskMove Move, BlockJobFacts? Job)> DecideAsync(
        FailoverDisk disk, Func<DiskPlace?, DiskPlace, BlockJobFacts?, DiskMove> decide, CancellationToken cancellationToken)
    {
        IHypervisor hypervisor = context.Services.Hypervisor;
        bool runs = await hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken)
            is VmRunState.Running or VmRunState.Paused or VmRunState.PausedIoError or VmRunState.ShuttingDown;
        BlockJobFacts? job = null;
        DiskPlace? live = null;
        try
        {
            // The job before the place: a job that ends in between then shows as gone, and its place as where it led to.
            job = runs ? await hypervisor.GetBlockJobAsync(context.Spec.Vm, disk.TargetDevice, cancellationToken) : null;
            live = runs ? DiskPlaces.PlaceOf(await hypervisor.GetDefinitionAsync(context.Spec.Vm, DefinitionKind.Live, cancellationToken), disk) : null;
        }
        catch (HypervisorException gone) when (gone.Fault == HypervisorFault.NotRunning)
        {
            live = null; // It stopped while we looked.
        }

        string inactive = await hypervisor.GetDefinitionAsync(context.Spec.Vm, DefinitionKind.Inactive, cancellationToken);
        return (decide(live, DiskPlaces.PlaceOf(inactive, disk), job), job);
    }

    /// <summary>A pivot can be refused (somebody holds the image) with the job at 100 %: the job is ended and the next
    /// round begins it anew. The guest runs on where it was.</summary>
    private async ValueTask PivotAsync(FailoverDisk disk, CancellationToken cancellationToken)
    {
        try
        {
            await context.Services.Hypervisor.PivotAsync(context.Spec.Vm, disk.TargetDevice, cancellationToken);
        }
        catch (HypervisorException refused) when (refused.Fault is not HypervisorFault.Unreachable)
        {
            Log.TriedAgain(context.Logger, context.Vm, $"the pivot of disk {disk.TargetDevice}", refused.Message);
            await context.Services.Hypervisor.AbortBlockJobAsync(context.Spec.Vm, disk.TargetDevice, cancellationToken);
        }
    }
}
