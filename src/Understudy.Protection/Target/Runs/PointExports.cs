using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>Writes recovery points and branches out as ordinary image files. Takes part in nothing; an export that the
/// agent's end cut short leaves a <c>.partial</c> file in the user's folder and nothing here.</summary>
internal sealed class PointExports(ReplicaContext context)
{
    /// <summary>Writes each disk of the point as <c>folder/vda.qcow2</c> (or <c>.raw</c>); the folder must be new or empty.</summary>
    public async ValueTask<IReadOnlyList<string>> RunAsync(RecoveryPointId point, string folder, string format, CancellationToken cancellationToken)
    {
        PointExportRules.Check(format, await context.Services.Images.ListAsync(folder, cancellationToken), folder);
        PointContents contents = await TestRuns.GetPointAsync(context.Slot.Replica, point, cancellationToken);
        Guid run = context.Services.Ids.NewGuid();
        context.Views.Hold(run, point, $"point {point} is being exported to {folder}");
        try
        {
            await context.Pins.AddAsync(run, point, $"export to {folder}", cancellationToken);
            List<string> files = [];
            foreach (Journal.Records.DiskGeometry disk in contents.Geometry.Disks)
            {
                string file = $"{folder}/{disk.Target}.{format}";
                await context.Services.Images.ConvertFromNbdAsync(
                    context.Places.ViewSocket, ViewExportName.For(point, disk.Disk), file, format, cancellationToken);
                files.Add(file);
            }

            return files;
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
        PointExportRules.Check(format, await context.Services.Images.ListAsync(folder, cancellationToken), folder);
        Guid run = context.Services.Ids.NewGuid();
        try
        {
            BranchRecord branch = await context.Branches.UseAsync(id, new BranchUse(run, $"an export to {folder}"), serve: true, cancellationToken);
            List<string> files = [];
            foreach (RunDisk disk in branch.Disks)
            {
                string file = $"{folder}/{disk.TargetDevice}.{format}";
                await context.Services.Images.ConvertFromFileAsync(disk.Overlay, "qcow2", file, format, cancellationToken);
                files.Add(file);
            }

            return files;
        }
        finally
        {
            await context.Branches.LeaveAsync(id, run, CancellationToken.None);
        }
    }
}
