using Understudy.Model;

namespace Understudy.Api.Rest;

/// <param name="Name">"VM (action)".</param>
/// <param name="Made">What it made or kept on each host.</param>
public sealed record JobDto(
    long Id,
    string Name,
    JobAction Action,
    string Vm,
    JobState State,
    JobWait Wait,
    string RequestedBy,
    DateTimeOffset CreatedAt,
    DateTimeOffset? EndedAt,
    double DurationSeconds,
    IReadOnlyList<JobStepDto> Steps,
    IReadOnlyList<string> Made,
    string? Note,
    ErrorDto? Error,
    long Revision);

public sealed record JobStepDto(
    int Number,
    string Title,
    StepState State,
    int Attempt,
    DateTimeOffset? StartedAt,
    double? DurationSeconds,
    double? Progress,
    string? Detail,
    ErrorDto? Error);

/// <param name="PowerOff">For a guest that does not shut down: pull its plug. Takes the word POWER OFF.</param>
public sealed record JobCompleteDto(string? Note, bool PowerOff = false, string? Confirm = null);
