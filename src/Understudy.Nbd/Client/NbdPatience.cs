namespace Understudy.Nbd;

/// <summary>How long a server may leave requests unanswered before its connection counts as lost. A disk that hangs below a server
/// answers neither data nor an error.</summary>
/// <param name="Limit">From the last answer, or from the first request that waits, whichever is later.</param>
public sealed record NbdPatience(TimeSpan Limit, TimeProvider Time);
