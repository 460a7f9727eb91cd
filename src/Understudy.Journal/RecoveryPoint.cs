using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal;

/// <summary>A checkpoint that can be brought back.</summary>
public sealed record RecoveryPoint(RecoveryPointId Id, PointKind Kind, DateTimeOffset CutAt, string Label)
{
    public ulong Sequence => Id.Sequence;
}

/// <summary>What a point holds besides its disks' content. The definition is null when the source has sent none yet.</summary>
public sealed record PointContents(RecoveryPoint Point, GeometryBody Geometry, string? DefinitionXml);
