namespace Understudy.Model;

/// <summary>One thing that is not as it should be, with what to do.</summary>
public sealed record HealthReason(HealthLevel Level, string Reason, string? Remedy);

/// <summary>The worst of its reasons; Normal when there are none.</summary>
public sealed record Health(IReadOnlyList<HealthReason> Reasons)
{
    public static Health Normal { get; } = new([]);

    public HealthLevel Level => Reasons.Count == 0 ? HealthLevel.Normal : Reasons.Max(reason => reason.Level);
}
