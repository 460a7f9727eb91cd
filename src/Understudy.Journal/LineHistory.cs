using Understudy.Blocks.Identity;

namespace Understudy.Journal;

/// <summary>A line and where it began.</summary>
public sealed record LineHistory(LineId Line, RecoveryPointId? Parent, string MintedBy, DateTimeOffset MintedAt);
