using Understudy.Blocks.Identity;

namespace Understudy.Protection.Source;

/// <summary>News of a line that owns the VM elsewhere.</summary>
public readonly record struct NewerLine(LineId Line, DateTimeOffset MintedAt);
