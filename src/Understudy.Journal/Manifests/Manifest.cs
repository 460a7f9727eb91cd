using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Journal.Segments;

namespace Understudy.Journal.Manifests;

/// <summary>
/// The durable truth about a replica (docs/formats/manifest.md): immutable; a change is a new one, written before anything
/// that relies on it is done.
/// </summary>
internal sealed record Manifest
{
    public required ReplicaId Replica { get; init; }

    public required VmId Vm { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The only line from which records are accepted.</summary>
    public required LineId Line { get; init; }

    /// <summary>All lines, oldest first; the last is the current one.</summary>
    public required IReadOnlyList<LineHistory> Lines { get; init; }

    /// <summary>Nothing older is listed. Null until apply has moved it for the first time.</summary>
    public RecoveryPointId? Oldest { get; init; }

    public required AppliedState Applied { get; init; }

    /// <summary>Set while the base is between two states.</summary>
    public ApplyingState? Applying { get; init; }

    /// <summary>The base is to begin with a seed, or is just getting it: anything may be in it, and nobody reads it. Once
    /// <see cref="Applying"/> is set it holds the seed whole.</summary>
    public bool AwaitsSeed { get; init; }

    public BaseStage BaseStage { get; init; }

    public required IReadOnlyList<SegmentRun> Segments { get; init; }

    public IReadOnlyList<PinEntry> Pins { get; init; } = [];

    public IReadOnlyList<DivergenceEntry> Divergence { get; init; } = [];

    /// <summary>A word of the owner's own (the step a commit has reached), made durable with everything else.</summary>
    public string? Note { get; init; }

    /// <summary>Being deleted: whoever opens it goes on deleting.</summary>
    public bool Retired { get; init; }
}

/// <summary>What the base holds: every record up to a sequence. The file keeps the records that say what that point is.</summary>
internal sealed record AppliedState(ulong Sequence, RecoveryPointId? Point, FileReference? Records);

/// <summary>The base is being moved to a point; what it held before is <see cref="AppliedState"/>.</summary>
internal sealed record ApplyingState(RecoveryPointId To);

/// <summary>Something needs a state of its own: records after <paramref name="Base"/> up to <paramref name="Through"/> (the
/// point itself, unless the journal was cut before it), and saved blocks.</summary>
internal sealed record PinEntry(
    PinId Id, RecoveryPointId Point, ulong Base, ulong Through, FileReference? BaseRecords, FileReference Records, bool HasPreImages, string Reason, DateTimeOffset CreatedAt);

/// <summary>Records that were dropped, and the file that lists what they had touched.</summary>
internal sealed record DivergenceEntry(RecoveryPointId Parent, LineId Line, ulong FirstSequence, ulong LastSequence, FileReference Extents);

/// <summary>A small file that belongs to the manifest, with its size and checksum.</summary>
internal sealed record FileReference(
    string Name, int Bytes, [property: JsonPropertyName("crc32c"), JsonConverter(typeof(HexConverter))] uint Crc32C);
