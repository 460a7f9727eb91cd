using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>Writes recovery points and branches out as ordinary image files. Takes part in nothing; an export that the
/// agent's end cut short leaves files in the user's folder (<see cref="ExportFolder"/>) and nothing here.</summary>
internal sealed class PointExports(ReplicaContext context)
{
    /// <summary>Writes each disk of the point as <c>folder/vda.qcow2</c> (or <c>.raw</c>); the folder must be new or empty.</summary>
    public async ValueTask<IReadOnlyList<string>> RunAsync(RecoveryPointId point, string folder, string format, CancellationToken cancellationToken)
    {
        PointContents contents = await TestRuns.GetPointAsync(context.Slot.Replica, point, cancellationToken);
        ExportFolder export = await ExportFolder.OpenAsync(context.Services.Images, folder, format, $"{point}", cancellationToken);
        Guid run = context.Services.Ids.NewGuid();
        context.Views.Hold(run, point, $"point {point} is being exported to {folder}");
        try
        {
            await context.Pins.AddAsync(run, point, $"export to {folder}", cancellationToken);
            return await export.WriteAsync(
                contents.Geometry.Disks,
                disk => disk.Target,
                (disk, file) => context.Services.Images.ConvertFromNbdAsync(
                    context.Places.ViewSocket, ViewExportName.For(point, disk.Disk), file, format, cancellationToken),
                cancellationToken);
        }
        finally
        {
            context.Views.Release(run);
            await context.Pins.RemoveAsync(run, CancellationToken.None);
        }
    }

    /// <inheritdoc cref="RunAsync(RecoveryPointId, string, string, CancellationToken)"/>
    public async ValueTask<IReadOnlyList<string>> RunAsync(BranchId id, string folder, string format, CancellationToken cancellationToken)
    {
        ExportFolder export = await ExportFolder.OpenAsync(context.Services.Images, folder, format, $"{id}", cancellationToken);
        Guid run = context.Services.Ids.NewGuid();
        try
        {
            BranchRecord branch = await context.Branches.UseAsync(id, new BranchUse(run, $"an export to {folder}"), serve: true, cancellationToken);
            return await export.WriteAsync(
                branch.Disks,
                disk => disk.TargetDevice,
                (disk, file) => context.Services.Images.ConvertFromFileAsync(disk.Overlay, "qcow2", file, format, cancellationToken),
                cancellationToken);
        }
        finally
        {
            await context.Branches.LeaveAsync(id, run, CancellationToken.None);
        }
    }
}
