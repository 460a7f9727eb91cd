using System.Text.Json;
using System.Text.Json.Serialization;

namespace Understudy.Api.Rest;

/// <summary>Durations are written as 30s, 5min, 24h, 7d.</summary>
/// <param name="Commit">"by hand" or "by itself"; the two fields below say when.</param>
/// <param name="StartTime">"now", or a time of the day in UTC (HH:mm) at which first copies begin.</param>
/// <param name="CommitAfter">A duration, or "never". Likewise cancelAfter.</param>
/// <param name="Guard">"hold", or "start after DURATION": what becomes of a VM whose host boots where nobody answers.</param>
/// <param name="IsolatedSource">"pause", "shut down" or "cut NICs".</param>
/// <param name="Bookmarks">"none", or times of the week in UTC, e.g. "22:00" or "sun 03:30, wed 12:00".</param>
/// <param name="RpoWarning">A duration, or "usual". Likewise rpoCritical and rpoCriticalAfter.</param>
public sealed record PolicyDto(
    string Name,
    string Mode,
    string Frequency,
    string Retention,
    bool Compression,
    bool UseNetworkMap,
    string StartTime,
    string Commit,
    string CommitAfter,
    string CancelAfter,
    int BranchDays,
    string Guard,
    string IsolatedSource,
    string Bookmarks,
    string RpoWarning,
    string RpoCritical,
    string RpoCriticalAfter,
    int UsedBy);

/// <summary>What is left out keeps its value, or gets the default in a new policy.</summary>
public sealed record PolicySetDto
{
    public string? Mode { get; init; }

    public string? Frequency { get; init; }

    public string? Retention { get; init; }

    public bool? Compression { get; init; }

    public bool? UseNetworkMap { get; init; }

    public string? StartTime { get; init; }

    /// <summary>"by hand" takes back commitAfter and cancelAfter.</summary>
    public string? Commit { get; init; }

    public string? CommitAfter { get; init; }

    public string? CancelAfter { get; init; }

    public int? BranchDays { get; init; }

    public string? Guard { get; init; }

    public string? IsolatedSource { get; init; }

    public string? Bookmarks { get; init; }

    public string? RpoWarning { get; init; }

    public string? RpoCritical { get; init; }

    public string? RpoCriticalAfter { get; init; }

    /// <summary>Fields of later versions and misspelt ones arrive here and are refused by name. Set by the serializer only.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }
}
