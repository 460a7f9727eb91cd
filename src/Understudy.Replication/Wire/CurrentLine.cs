using Understudy.Blocks.Identity;

namespace Understudy.Replication.Wire;

/// <summary>The line that owns a replica, as a source on another line is told about it.</summary>
/// <param name="MintedAt">By the target's clock; null where nobody knows any more.</param>
/// <param name="Offer">Null unless the line waits for the replica's source to take it.</param>
public sealed record CurrentLine(LineId Line, DateTimeOffset? MintedAt = null, LineOffer? Offer = null);

/// <summary>Ownership on its way back to the source: only the source can accept it, and it needs no vault to do so.</summary>
/// <param name="Parent">The recovery point after which the line goes on.</param>
public sealed record LineOffer(TransferId Transfer, RecoveryPointId Parent);
