using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Runs;

/// <summary>What a failed-over VM stands on while it is on views: overlays, the daemon under them, its definition.</summary>
internal sealed partial class FailoverRuns
{
    private void Hold(FailoverRecord failover)
    {
        context.Views.Hold(failover.Id, failover.Point, $"VM {failover.VmName} runs on point {failover.Point}");
        if (failover.Leave?.Next is { } next)
        {
            context.Views.Hold(next.Id, next.Point, $"VM {next.VmName} is being moved to point {next.Point}");
        }
    }

    private async ValueTask ServeAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        Hold(failover);
        using AsyncGate.Pass inside = await _daemonGate.EnterAsync(cancellationToken);
        await context.RunDisks.EnsureDaemonAsync(failover.Id, failover.Point, OverlaysOf(failover), cancellationToken);
    }

    private async ValueTask MakeDisksAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await ServeAsync(failover, cancellationToken);
        await context.RunDisks.MakeOverlaysAsync(failover.Id, OverlaysOf(failover), failover.Bitmap, cancellationToken);
        await context.Services.Images.CreateFolderAsync(context.Places.LogFolder(failover.VmName), cancellationToken);
    }

    /// <summary>Overlays that nothing was written to, and the daemon.</summary>
    private async ValueTask RemoveDisksAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await EndServingAsync(failover, cancellationToken);
        await context.RunDisks.DeleteOverlaysAsync(OverlaysOf(failover), cancellationToken);
    }

    private async ValueTask EndServingAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        using (await _daemonGate.EnterAsync(cancellationToken))
        {
            await context.RunDisks.StopDaemonAsync(failover.Id, cancellationToken);
        }

        context.Views.Release(failover.Id);
    }

    /// <summary>A definition of that identity is ours when its disks are; anybody else's stays.</summary>
    private async ValueTask UndefineOursAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (await IsDefinedOnAsync(failover, cancellationToken))
        {
            await Hypervisor.UndefineAsync(context.Spec.Vm, cancellationToken);
        }
    }

    private async ValueTask<bool> IsDefinedOnAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (await Hypervisor.FindVmAsync(context.Spec.Vm, cancellationToken) is null)
        {
            return false;
        }

        string definition = await Hypervisor.GetDefinitionAsync(context.Spec.Vm, DefinitionKind.Inactive, cancellationToken);
        return failover.Disks.All(disk => DiskPlaces.PlaceOf(definition, disk) == DiskPlace.OnOverlay);
    }
}
