using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>What a policy may say in this version.</summary>
public static class PolicyRules
{
    public static readonly TimeSpan ShortestFrequency = TimeSpan.FromSeconds(15);
    public static readonly TimeSpan LongestFrequency = TimeSpan.FromHours(24);
    public static readonly TimeSpan LongestRetention = TimeSpan.FromDays(30);

    /// <summary>Fields the product will have, and why they are refused now rather than silently ignored.</summary>
    private static readonly Dictionary<string, string> _laterFields = new(StringComparer.OrdinalIgnoreCase)
    {
        ["applicationConsistent"] = "application-consistent points need the guest agent's freeze, which is not built yet",
        ["startTime"] = "a first copy always starts now",
        ["seed"] = "a first copy always comes from the running VM",
        ["encryption"] = "replicas are stored unencrypted in this version",
        ["bandwidth"] = "there is no bandwidth limit yet",
        ["priority"] = "all VMs are served alike",
        ["reverse"] = "reverse replication is not built yet",
        ["commitAfter"] = "a failover is committed by hand",
        ["automaticFailover"] = "a failover is always started by a person",
        ["branchDays"] = "branches are not kept yet",
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

    public const string DefaultName = "every-5min";

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
            : null;
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

    public static ErrorInfo? CheckCommit(string commit) => commit switch
    {
        "by hand" => null,
        _ => Errors.LaterPolicyField("commit: " + commit, "a failover is committed by hand"),
    };
}
