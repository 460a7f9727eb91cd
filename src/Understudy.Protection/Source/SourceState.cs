namespace Understudy.Protection.Source;

/// <summary>
/// What the source must still know after a crash; replaced as a whole (docs/protocols/capture.md, section 4). It only ever
/// says what is true already: a pending cycle is written after its spool is durable, an acknowledged one after the
/// target's word, and only then is the older checkpoint dropped.
/// </summary>
public sealed record SourceState
{
    public required SourceSpec Spec { get; init; }

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

    /// <summary>The copy under way; null when cycles only send what changed.</summary>
    public CopyState? Copy { get; init; }

    /// <summary>The cycle that is whole in the spool and not yet acknowledged.</summary>
    public PendingCycle? Pending { get; init; }

    public bool GeometrySent { get; init; }

    /// <summary>Hash of the definition that the target holds; null for none.</summary>
    public string? DefinitionHash { get; init; }

    /// <summary>The last listed point that was acknowledged.</summary>
    public LastPoint? LastPoint { get; init; }
}

public sealed record LastPoint(ulong Sequence, DateTimeOffset CutAt);

public enum CopyKind
{
    /// <summary>There is no recovery point yet.</summary>
    First,

    /// <summary>Tracking was lost or the target lost data: all is read again, the points listed stay as they are.</summary>
    Resynchronisation,
}

/// <param name="Position">Everything before it is at the target as of the current checkpoint.</param>
/// <param name="VirginFrom">From here on the target has never been sent anything, so that zeros need not be sent.</param>
public sealed record CopyState(CopyKind Kind, CopyPosition Position, CopyPosition VirginFrom, string? Reason = null);

/// <summary>A cycle that ends with its checkpoint record, durable in the spool.</summary>
/// <param name="Checkpoint">The libvirt checkpoint that began at its cut.</param>
/// <param name="Listed">Whether its checkpoint record is a recovery point (false for slices before the last).</param>
/// <param name="CopyPosition">Where the copy stands once it is acknowledged; null when there is no copy.</param>
/// <param name="DefinitionHash">The definition it carries; null when it carries none.</param>
public sealed record PendingCycle(
    string Checkpoint,
    DateTimeOffset CutAt,
    bool Listed,
    ulong FirstSequence,
    ulong LastSequence,
    ulong FirstSegment,
    ulong LastSegment,
    long Bytes,
    CopyPosition? CopyPosition,
    bool CarriesGeometry,
    string? DefinitionHash);
