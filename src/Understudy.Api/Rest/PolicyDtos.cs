using System.Text.Json;
using System.Text.Json.Serialization;

namespace Understudy.Api.Rest;

/// <summary>Durations are written as 30s, 5min, 24h, 7d.</summary>
public sealed record PolicyDto(
    string Name,
    string Mode,
    string Frequency,
    string Retention,
    bool Compression,
    bool UseNetworkMap,
    string Commit,
    int UsedBy);

/// <summary>What is left out keeps its value, or gets the default in a new policy.</summary>
public sealed record PolicySetDto
{
    public string? Mode { get; init; }

    public string? Frequency { get; init; }

    public string? Retention { get; init; }

    public bool? Compression { get; init; }

    public bool? UseNetworkMap { get; init; }

    public string? Commit { get; init; }

    /// <summary>Fields of later versions and misspelt ones arrive here and are refused by name. Set by the serializer only.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }
}
