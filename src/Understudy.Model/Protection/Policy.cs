using System.Text.Json.Serialization;

namespace Understudy.Model;

[JsonConverter(typeof(JsonStringEnumConverter<ReplicationMode>))]
public enum ReplicationMode
{
    [JsonStringEnumMemberName("periodic")] Periodic,
}

[JsonConverter(typeof(JsonStringEnumConverter<CommitRule>))]
public enum CommitRule
{
    [JsonStringEnumMemberName("by hand")] ByHand,
}

/// <summary>How a VM is protected. Limits are in <see cref="PolicyRules"/>.</summary>
public sealed record Policy
{
    public required string Name { get; init; }

    public ReplicationMode Mode { get; init; } = ReplicationMode.Periodic;

    /// <summary>From one cut to the next.</summary>
    public TimeSpan Frequency { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How far back points are kept; zero keeps the newest only.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromHours(24);

    public bool Compression { get; init; } = true;

    /// <summary>NICs go where the network mappings say; without it they start unplugged at the target.</summary>
    public bool UseNetworkMap { get; init; } = true;

    public CommitRule Commit { get; init; } = CommitRule.ByHand;
}
