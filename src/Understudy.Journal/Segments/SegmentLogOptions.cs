using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Segments;

/// <summary>Where a log of segments lives and whose it is.</summary>
public sealed record SegmentLogOptions
{
    public required IFileStore Store { get; init; }

    /// <summary>What the names of its files begin with: <c>journal/</c>, or <c>pins/NAME-</c> where several logs share a folder.</summary>
    public required string Prefix { get; init; }

    internal SafetyRules Rules { get; init; } = SafetyRules.All;

    internal string Folder => SegmentWriter.FolderOf(Prefix);

    /// <summary>Written into every file and checked when it is opened.</summary>
    public required ReplicaId Replica { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILogger Logger { get; init; }

    public SegmentSettings Segments { get; init; } = SegmentSettings.Default;

    public int OpenFiles { get; init; } = 64;
}
