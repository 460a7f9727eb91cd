using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>What a policy may say in this version, and what of it makes no sense together.</summary>
public static class PolicyRules
{
    public const string DefaultName = "every-5min";

    public static readonly TimeSpan ShortestFrequency = TimeSpan.FromSeconds(15);
    public static readonly TimeSpan LongestFrequency = TimeSpan.FromHours(24);
    public static readonly TimeSpan LongestRetention = TimeSpan.FromDays(30);

    /// <summary>A decision that is made by itself leaves at least a minute to look, and is not forgotten about.</summary>
    public static readonly TimeSpan ShortestCountdown = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan LongestCountdown = TimeSpan.FromDays(30);

    /// <summary>Agents of two sites need so long to find each other after a power cut of both.</summary>
    public static readonly TimeSpan ShortestGuardWait = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan LongestGuardWait = TimeSpan.FromHours(24);

    public const int StartTimeStepMinutes = 30;

    /// <summary>Fields the product will have, and why they are refused now rather than silently ignored.</summary>
    private static readonly Dictionary<string, string> _laterFields = new(StringComparer.OrdinalIgnoreCase)
    {
        ["applicationConsistent"] = "application-consistent points need the guest agent's freeze, which is not built yet",
        ["encryption"] = "replicas are stored unencrypted in this version",
        ["bandwidth"] = "there is no bandwidth limit yet",
        ["priority"] = "all VMs are served alike",
        ["reverse"] = "reverse replication is not built yet",
        ["automaticFailover"] = "a failover is always started by a person",
        ["lock"] = "points cannot be locked yet",
        ["verification"] = "unattended verification is not built yet",
        ["sizeCap"] = "history is bounded by retention only",
        ["checkpointInterval"] = "continuous mode is not built yet",
    };

    /// <summary>The policies every vault starts with.</summary>
    public static IReadOnlyList<Policy> BuiltIn { get; } =
    [
        new() { Name = "every-15s", Frequency = TimeSpan.FromSeconds(15) },
        new() { Name = "every-30s", Frequency = TimeSpan.FromSeconds(30) },
        new() { Name = "every-5min" },
        new() { Name = "every-15min", Frequency = TimeSpan.FromMinutes(15) },
    ];

    /// <summary>Null when the policy is sound.</summary>
    public static ErrorInfo? Check(Policy policy)
    {
        if (!VmNames.IsLawful(policy.Name))
        {
            return Errors.BadName("policy", policy.Name);
        }

        if (policy.Frequency < ShortestFrequency || policy.Frequency > LongestFrequency)
        {
            return Errors.BadFrequency(Durations.Format(policy.Frequency));
        }

        return policy.Retention < TimeSpan.Zero || policy.Retention > LongestRetention
            ? Errors.BadRetention(Durations.Format(policy.Retention))
            : CheckRanges(policy) ?? CheckTogether(policy);
    }

    /// <summary>The refusal of a field that is no part of a policy in this version, by its name.</summary>
    public static ErrorInfo RefuseField(string field) =>
        _laterFields.TryGetValue(field, out string? reason)
            ? Errors.LaterPolicyField(field, reason)
            : Errors.UnknownPolicyField(field);

    public static ErrorInfo? CheckMode(string mode) => mode switch
    {
        "periodic" => null,
        "continuous" => Errors.LaterPolicyField("mode: continuous", "continuous mode is not built yet"),
        _ => Errors.BadValue("mode", mode, "periodic is the one mode of this version"),
    };

    private static ErrorInfo? CheckRanges(Policy policy) =>
        Within("commitAfter", policy.CommitAfter, ShortestCountdown, LongestCountdown)
        ?? Within("cancelAfter", policy.CancelAfter, ShortestCountdown, LongestCountdown)
        ?? Within("guard: start after", policy.GuardStartsAfter, ShortestGuardWait, LongestGuardWait)
        ?? (policy.BranchDays is < BranchRules.FewestDays or > BranchRules.MostDays
            ? Errors.BadValue("branchDays", $"{policy.BranchDays}", $"branches are kept {BranchRules.FewestDays} to {BranchRules.MostDays} days")
            : null)
        ?? (policy.StartTime is { } start && (start.Minute % StartTimeStepMinutes != 0 || start.Second != 0)
            ? Errors.BadValue("startTime", start.ToString("HH:mm", null), "first copies begin at full and half hours")
            : null);

    /// <summary>What each would be fine alone.</summary>
    private static ErrorInfo? CheckTogether(Policy policy)
    {
        TimeSpan warning = policy.Rpo.WarningFor(policy.Frequency);
        TimeSpan critical = policy.Rpo.CriticalFor(policy.Frequency);
        return policy switch
        {
            { CommitAfter: not null, CancelAfter: not null } => Errors.PolicyContradicts(
                "commitAfter and cancelAfter", "a failover cannot be both committed and cancelled by itself"),
            _ when warning <= policy.Frequency => Errors.PolicyContradicts(
                "rpoWarning and frequency", $"the newest point is up to {Durations.Format(policy.Frequency)} old in good order already"),
            _ when critical <= warning => Errors.PolicyContradicts(
                "rpoWarning and rpoCritical", $"Critical at {Durations.Format(critical)} would come before Warning at {Durations.Format(warning)}"),
            _ when policy.Retention > TimeSpan.Zero && policy.Retention < policy.Frequency => Errors.PolicyContradicts(
                "retention and frequency", $"points would go before the next one comes; retention 0 keeps the newest only"),
            _ => null,
        };
    }

    private static ErrorInfo? Within(string field, TimeSpan? value, TimeSpan shortest, TimeSpan longest) =>
        value is { } given && (given < shortest || given > longest)
            ? Errors.BadValue(field, Durations.Format(given), $"it takes {Durations.Format(shortest)} to {Durations.Format(longest)}")
            : null;
}
