using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Bases;

namespace Understudy.Journal;

/// <summary>Base images of disks that have left the VM: they go when the last point that has them goes.</summary>
public sealed partial class Replica
{
    /// <summary>
    /// Deletes images and sums of disks that nothing has any more: no record to come, no point, no pin or open view. The
    /// image goes before its sums, which are what a later look knows it by. The caller holds the gate.
    /// </summary>
    private async ValueTask DeleteGoneDisksAsync(CancellationToken cancellationToken)
    {
        foreach (StoreEntry entry in await _env.Store.ListAsync("base", cancellationToken))
        {
            if (!BaseSums.TryParseName(entry.Name, out DiskId disk) || IsNeeded(disk))
            {
                continue;
            }

            if (_bases.Remove(disk, out BaseDisk? open))
            {
                await open.DisposeAsync();
            }

            await _env.Bases.DeleteAsync(disk, cancellationToken);
            await _env.Store.DeleteAsync(entry.Name, cancellationToken);
            Log.DiskGone(_env.Logger, Id, disk);
        }
    }

    private bool IsNeeded(DiskId disk) =>
        _builder.InForce.Disks?.Find(disk) is not null
        || _baseGeometry?.Find(disk) is not null
        || _points.Exists(point => point.Geometry.Find(disk) is not null)
        || _pins.Exists(pin => pin.Point.Geometry.Find(disk) is not null || pin.BaseGeometry?.Find(disk) is not null);
}
