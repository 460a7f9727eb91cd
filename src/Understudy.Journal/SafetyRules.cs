namespace Understudy.Journal;

/// <summary>
/// The rules that keep a replica right, each one breakable on its own: the simulation breaks one after another and must
/// catch every one, which shows that its checkers see. Outside of it all hold.
/// </summary>
internal sealed record SafetyRules
{
    public static SafetyRules All { get; } = new();

    /// <summary>Flushed means flushed.</summary>
    public bool FlushBeforeAcknowledging { get; init; } = true;

    /// <summary>Payloads and base blocks are compared with their sums when read.</summary>
    public bool VerifyWhatIsRead { get; init; } = true;

    /// <summary>A point that apply is moving past is no longer listed.</summary>
    public bool UnlistBeforeApplying { get; init; } = true;

    /// <summary>The manifest says that the base is being changed before it is.</summary>
    public bool NoteApplyBeforeWritingBase { get; init; } = true;

    /// <summary>Only the current line is accepted from.</summary>
    public bool RefuseStaleLines { get; init; } = true;

    /// <summary>What dropped records had touched is durable before they are gone.</summary>
    public bool NoteDivergenceBeforeDropping { get; init; } = true;

    /// <summary>A pre-image that exists is never replaced: the block may be half new by now.</summary>
    public bool KeepFirstPreImage { get; init; } = true;

    /// <summary>Nobody is told what a replica holds before its base holds the seed.</summary>
    public bool CompareOnlyWithTheSeed { get; init; } = true;

    /// <summary>A new sum is computed only from content that matched its old one.</summary>
    public bool VerifyBeforeSumming { get; init; } = true;
}
