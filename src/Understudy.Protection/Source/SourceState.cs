using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Protection.Source;

/// <summary>
/// What the source must still know after a crash; replaced as a whole (docs/protocols/capture.md, section 4). It only ever
/// says what is true already: a pending cycle is written after its spool is durable, an acknowledged one after the
/// target's word, and only then is the older checkpoint dropped.
/// </summary>
public sealed record SourceState
{
    public required SourceSpec Spec { get; init; }

    /// <summary>All protected disks, ascending by number. Changed only while nothing is pending.</summary>
    public required IReadOnlyList<SourceDisk> Disks { get; init; }

    /// <summary>The number of the next disk that comes: none is ever used twice.</summary>
    public required int NextDisk { get; init; }

    /// <summary>The newest sequence the target is known to hold durably.</summary>
    public ulong AcknowledgedSequence { get; init; }

    /// <summary>The highest sequence ever given to a record; above the acknowledged one when records were made and given
    /// up, or are pending.</summary>
    public ulong UsedSequence { get; init; }

    /// <summary>False while some of a given-up cycle may have reached the target: the next sequence is then the target's
    /// to say, and nothing is cut before it has.</summary>
    public bool SequenceKnown { get; init; }

    /// <summary>The libvirt checkpoint since which changes are wanted; null before the first job of a copy.</summary>
    public string? Checkpoint { get; init; }

    /// <summary>Set where no checkpoint stands because the disks were read while the VM was off: the fence behind which nothing can
    /// have been written since. What was read then counts only as long as that fence does.</summary>
    public DateTimeOffset? StillBehind { get; init; }

    /// <summary>Why there is no new point before the disks are whole; null when each cycle makes one.</summary>
    public CopyState? Copy { get; init; }

    /// <summary>The cycle that is whole in the spool and not yet acknowledged.</summary>
    public PendingCycle? Pending { get; init; }

    /// <summary>The table in force at the target is that of <see cref="Disks"/>.</summary>
    public bool GeometrySent { get; init; }

    /// <summary>Hash of the definition that the target holds; null for none.</summary>
    public string? DefinitionHash { get; init; }

    /// <summary>The last listed point that was acknowledged.</summary>
    public LastPoint? LastPoint { get; init; }

    /// <summary>Who has paused replication; null while it goes on.</summary>
    public string? PausedBy { get; init; }

    /// <summary>No slice of a first copy is at the target yet.</summary>
    internal bool HasNotBegun => Checkpoint is null && Copy is { Kind: CopyKind.First };

    /// <summary>The target has something of the disks, and nothing records what changes in it.</summary>
    internal bool IsUntracked => Checkpoint is null && Disks.Any(disk => disk.CopiedBytes > 0);

    /// <summary>Some disk is not whole at the target yet: slices follow each other without a pause.</summary>
    internal bool IsCopying => Disks.Any(disk => !disk.IsWhole);
}

public sealed record LastPoint(RecoveryPointId Id, DateTimeOffset CutAt, CutPurpose Purpose)
{
    [JsonIgnore]
    public ulong Sequence => Id.Sequence;
}

/// <summary>What a cut was made for.</summary>
/// <param name="Order">Who asked for this very cut, so that an order given twice makes one point; null for the timetable's.</param>
/// <param name="FencedAt">Of a planned point: the fence behind which the VM was off when its disks were read.</param>
public sealed record CutPurpose(PointKind Kind, string? Label = null, Guid? Order = null, DateTimeOffset? FencedAt = null)
{
    public static CutPurpose Timetable { get; } = new(PointKind.Crash);
}

public enum CopyKind
{
    /// <summary>There is no recovery point yet.</summary>
    First,

    /// <summary>Tracking was lost or the target lost data: all is compared again, the points listed stay as they are.</summary>
    Resynchronisation,

    /// <summary>A disk was made larger: a point with its old end would be no state the guest was ever in.</summary>
    Growth,
}

/// <param name="Compared">By the slices that were acknowledged.</param>
public sealed record CopyState(CopyKind Kind, string? Reason = null, ComparedBytes Compared = default);

/// <summary>A cycle that ends with its checkpoint record, durable in the spool.</summary>
/// <param name="Checkpoint">From which on changes are wanted once it is acknowledged: the libvirt checkpoint that began at
/// its cut, or, where the VM was off and none could begin, the one before.</param>
/// <param name="Listed">Whether its checkpoint record is a recovery point (false for slices before the last).</param>
/// <param name="Disks">The disks, and how much of them the target has, once it is acknowledged.</param>
/// <param name="Compared">What its slice compared with the target.</param>
/// <param name="DefinitionHash">The definition it carries; null when it carries none.</param>
/// <param name="StillBehind">As the state's, once it is acknowledged.</param>
public sealed record PendingCycle(
    string? Checkpoint,
    DateTimeOffset CutAt,
    bool Listed,
    ulong FirstSequence,
    ulong LastSequence,
    ulong FirstSegment,
    ulong LastSegment,
    long Bytes,
    IReadOnlyList<SourceDisk> Disks,
    ComparedBytes Compared,
    bool CarriesGeometry,
    string? DefinitionHash,
    CutPurpose Purpose,
    DateTimeOffset? StillBehind = null);
