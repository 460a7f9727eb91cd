namespace Understudy.Vault.Sites;

/// <summary>That a host is in maintenance, as the database keeps it.</summary>
/// <param name="Until">It is over then, or when somebody says so; null: after the host's next boot, or when somebody says so.</param>
/// <param name="Boot">Of the host, when the maintenance began; null when its agent had not said.</param>
/// <param name="StillToBegin">How long guests may take to shut down, while not every VM has its job yet: whoever looks at the note
/// next gives it one. Null once all have.</param>
/// <param name="LeftAlone">VMs that got none, with the reason.</param>
/// <param name="Ended">Somebody has said that it is over.</param>
internal sealed record MaintenanceNote(
    DateTimeOffset Since,
    DateTimeOffset? Until,
    string? Reason,
    string By,
    string? Boot,
    TimeSpan? StillToBegin = null,
    IReadOnlyDictionary<Guid, string>? LeftAlone = null,
    bool Ended = false)
{
    /// <param name="now">Null when no clock can be believed.</param>
    public bool IsOver(DateTimeOffset? now, string? boot) =>
        Ended || (Until is { } until ? now >= until : Boot is not null && boot is not null && boot != Boot);
}
