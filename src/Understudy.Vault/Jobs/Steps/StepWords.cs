using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>What steps say of hosts.</summary>
internal static class StepWords
{
    public static StepResult AfterRemoval(HostRow host, Removed removed) =>
        new(removed.Kept.Count == 0 ? $"nothing of ours is left at {host.Name}" : $"{host.Name} keeps {string.Join(", ", removed.Kept)}",
            [.. removed.Kept.Select(kept => $"{host.Name} keeps {kept}")]);

    public static string[] On(HostRow host, IReadOnlyList<string> made) => [.. made.Select(line => $"{host.Name}: {line}")];

    /// <summary>A labelled one is of a guest that did not shut down in order: its disks are whole, and as after a power cut.</summary>
    public static string LastChange(RecoveryPointInfo point) => point.Label is { } label
        ? $"point {point.Id}, {label}: all that its disks held"
        : $"point {point.Id}: nothing is missing";

    public static string With(string text, IReadOnlyList<string>? notes) => notes is { Count: > 0 } ? $"{text}. {string.Join(" ", notes)}" : text;
}
