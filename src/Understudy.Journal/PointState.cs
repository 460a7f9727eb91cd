using System.Collections.Immutable;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>A geometry or definition record, whole; shared by all points it is in force for.</summary>
internal sealed record ControlRecord(RecordHeader Header, byte[] Record)
{
    public ReadOnlySpan<byte> Payload => Record.AsSpan(RecordHeader.SizeBytes);
}

/// <summary>What is in force at a place in the journal: the disks, and the definition by part.</summary>
internal sealed record InForce(ControlRecord? Geometry, GeometryBody? Disks, ImmutableSortedDictionary<ushort, ControlRecord> Definitions)
{
    public static InForce Nothing { get; } = new(null, null, ImmutableSortedDictionary<ushort, ControlRecord>.Empty);
}

/// <summary>A checkpoint with all that is in force there. Its own record is in a segment, or kept when that is gone.</summary>
internal sealed record PointState(RecoveryPoint Point, bool Hidden, InForce InForce, GeometryBody Geometry, SegmentExtent Source, byte[]? Kept)
{
    public ulong Sequence => Point.Sequence;
}
