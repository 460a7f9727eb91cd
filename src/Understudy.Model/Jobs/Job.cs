using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>One action, with its history.</summary>
/// <param name="Name">"VM (action)".</param>
/// <param name="Made">What the job made or kept on each host, one line each.</param>
public sealed record Job(
    JobId Id,
    string Name,
    JobAction Action,
    VmId Vm,
    JobState State,
    JobWait Wait,
    string RequestedBy,
    DateTimeOffset CreatedAt,
    DateTimeOffset? EndedAt,
    IReadOnlyList<JobStep> Steps,
    IReadOnlyList<string> Made,
    string? Note,
    ErrorInfo? Error);

/// <param name="Progress">0 to 1; null when the step cannot say.</param>
/// <param name="Attempt">1 at first; a retry counts up and gets a new operation id.</param>
public sealed record JobStep(
    int Number,
    string Title,
    StepState State,
    int Attempt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? EndedAt,
    double? Progress,
    string? Detail,
    ErrorInfo? Error);

/// <summary>Something that happened and that somebody may want to know later.</summary>
public sealed record VaultEvent(
    long Id,
    DateTimeOffset At,
    HealthLevel Severity,
    string Kind,
    VmId? Vm,
    HostId? Host,
    string Text);
