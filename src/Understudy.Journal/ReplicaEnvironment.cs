using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;

namespace Understudy.Journal;

/// <summary>Everything a replica needs from outside. <paramref name="Store"/> is the replica's own folder.</summary>
public sealed record ReplicaEnvironment(
    IFileStore Store, IBaseImages Bases, TimeProvider Time, IIdSource Ids, ReplicaSettings Settings, ILogger Logger);

/// <summary>Opens the ordinary images that hold a replica's disks as of its oldest point.</summary>
public interface IBaseImages
{
    /// <summary>
    /// Opens the image of a disk. For writing, it is created empty (reads as zeros) when there is none, and grown to
    /// <see cref="DiskGeometry.SizeBytes"/> when smaller; creation and growth are durable before this returns. For
    /// reading, a missing image throws <see cref="FaultKind.Missing"/>. Each call gives a handle of its own; a handle
    /// opened after another one's flush failed must not be affected by that failure.
    /// </summary>
    ValueTask<IBlockDevice> OpenAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken);

    /// <summary>Removes the image of a disk that no point has any more. No error when there is none.</summary>
    ValueTask DeleteAsync(DiskId disk, CancellationToken cancellationToken);
}
