using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>Rows of jobs, read.</summary>
internal static class JobView
{
    public static JobDto ToDto(JobRow row, DateTimeOffset now) => new(
        row.Id,
        row.Name,
        Parse<JobAction>(row.Action),
        row.VmName,
        Parse<JobState>(row.State),
        Parse<JobWait>(row.Wait),
        row.RequestedBy,
        row.CreatedAt,
        row.EndedAt,
        ((row.EndedAt ?? now) - row.CreatedAt).TotalSeconds,
        [.. row.Steps.OrderBy(step => step.Number).Select(step => ToDto(step, now))],
        Made(row),
        row.Note,
        ErrorDto.From(Error(row.ErrorJson)),
        row.Revision);

    public static JobState State(JobRow row) => Parse<JobState>(row.State);

    public static JobAction Action(JobRow row) => Parse<JobAction>(row.Action);

    public static JobWait Wait(JobRow row) => Parse<JobWait>(row.Wait);

    public static StepState State(StepRow row) => Parse<StepState>(row.State);

    public static StepKind Kind(StepRow row) => Enum.Parse<StepKind>(row.Kind);

    public static IReadOnlyList<FlowStep> Flow(JobRow row) =>
        [.. row.Steps.OrderBy(step => step.Number).Select(step => new FlowStep(Kind(step), State(step)))];

    public static IReadOnlyList<string> Made(JobRow row) => VaultJson.Read(row.MadeJson, VaultJson.Default.IReadOnlyListString) ?? [];

    public static JobInput Input(JobRow row) =>
        VaultJson.Read(row.InputJson, VaultJson.Default.JobInput) ?? throw new UnreachableException($"job {row.Id} has no input");

    public static void Put(JobRow row, JobInput input) => row.InputJson = VaultJson.Write(input, VaultJson.Default.JobInput);

    public static ErrorInfo? Error(string? json) => VaultJson.Read(json, VaultJson.Default.ErrorInfo);

    private static JobStepDto ToDto(StepRow step, DateTimeOffset now) => new(
        step.Number,
        step.Title,
        State(step),
        step.Attempt,
        step.StartedAt,
        step.StartedAt is { } started ? ((step.EndedAt ?? now) - started).TotalSeconds : null,
        step.Progress,
        step.Detail,
        ErrorDto.From(Error(step.ErrorJson)));

    private static TEnum Parse<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TEnum>(string word)
        where TEnum : struct, Enum =>
        EnumWords<TEnum>.TryParse(word, out TEnum value) ? value : throw new UnreachableException($"'{word}' is no {typeof(TEnum).Name}");
}
