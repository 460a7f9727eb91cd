using Understudy.Blocks.Identity;

namespace Understudy.Journal;

/// <summary>What a replica is at one moment. Received, flushed and applied are sequences.</summary>
public sealed record ReplicaStatus
{
    public required ReplicaId Id { get; init; }

    public required VmId Vm { get; init; }

    public required LineId Line { get; init; }

    /// <summary>Oldest first; the last is the current one.</summary>
    public required IReadOnlyList<LineHistory> Lines { get; init; }

    public required ulong ReceivedSequence { get; init; }

    public required ulong FlushedSequence { get; init; }

    /// <summary>What the base holds. While <see cref="ApplyingTo"/> is set, it is on its way to that point.</summary>
    public required ulong AppliedSequence { get; init; }

    public RecoveryPointId? ApplyingTo { get; init; }

    public RecoveryPoint? Oldest { get; init; }

    public RecoveryPoint? Newest { get; init; }

    public required int PointCount { get; init; }

    /// <summary>Bytes of sealed and open segments, those that only a view or pin still needs included.</summary>
    public required long JournalBytes { get; init; }

    public required int SegmentCount { get; init; }

    /// <summary>Bytes of old content kept for pins and open views.</summary>
    public required long PreImageBytes { get; init; }

    public required IReadOnlyList<PinStatus> Pins { get; init; }

    public required int OpenViews { get; init; }

    /// <summary>Its base does not hold the seed it is to begin with yet.</summary>
    public required bool AwaitsSeed { get; init; }

    public required BaseStage BaseStage { get; init; }

    /// <summary>The owner's own word, see <c>Replica.SetNoteAsync</c>.</summary>
    public string? Note { get; init; }

    /// <summary>The point at which records were dropped, each with what they had touched.</summary>
    public required IReadOnlyList<Divergence> Divergence { get; init; }
}

/// <summary>A durable pin.</summary>
public sealed record PinStatus(PinId Id, RecoveryPointId Point, string Reason, DateTimeOffset CreatedAt, long PreImageBytes);

/// <summary>Records after a point were dropped; <c>Replica.ReadDivergenceAsync</c> tells what they had touched.</summary>
public sealed record Divergence(RecoveryPointId Parent, LineId Line, ulong FirstSequence, ulong LastSequence);
