using System.Text.Json;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>What the vault ordered for one protected VM; <c>order.json</c> beside the engine's own state.</summary>
internal sealed record SourceOrder(Guid Replica, Guid Target, string Endpoint, TimeSpan Frequency, bool Compression)
{
    /// <summary>The target's agent dials this one; otherwise <see cref="Endpoint"/> is dialled from here (REG-3).</summary>
    public bool TargetDials { get; init; }

    /// <summary>By their device at the guest.</summary>
    public IReadOnlyList<string> ExcludedDisks { get; init; } = [];

    /// <summary>When the first copy begins; null for at once.</summary>
    public DateTimeOffset? StartAt { get; init; }

    /// <summary>After a boot in which nobody answers, the VM may be started when this has passed; null holds it.</summary>
    public TimeSpan? GuardStartsAfter { get; init; }

    /// <summary>What happens to a copy that runs here at first contact with a newer line.</summary>
    public IsolatedSourceAction IsolatedSource { get; init; }

    private const string FileName = "order.json";
    private const int MaxBytes = 64 * 1024;

    public SourcePolicy Policy => new()
    {
        Frequency = Frequency,
        Compression = Compression,
        ExcludedDisks = ExcludedDisks,
        StartAt = StartAt,
        StartsAfter = GuardStartsAfter,
        WhenDeposed = SourceWords.ActionOf(IsolatedSource),
    };

    public static bool Stands(string folder) => File.Exists(Path.Combine(folder, FileName));

    /// <summary>Null when the folder holds none.</summary>
    public static async ValueTask<SourceOrder?> TryReadAsync(string folder, CancellationToken cancellationToken)
    {
        string path = Path.Combine(folder, FileName);
        if (await PrivateFile.TryReadAsync(new FolderStore(folder), FileName, MaxBytes, cancellationToken) is not { } content)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(content, AgentJson.Default.SourceOrder);
        }
        catch (JsonException e)
        {
            throw new Blocks.StorageException(Blocks.FaultKind.Corrupt, path, e.Message, "Unprotect the VM in the vault and protect it again.", e);
        }
    }

    public ValueTask WriteAsync(string folder, CancellationToken cancellationToken) => PrivateFile.ReplaceAsync(
        new FolderStore(folder), FileName, JsonSerializer.SerializeToUtf8Bytes(this, AgentJson.Default.SourceOrder), cancellationToken);

    public static void Delete(string folder) => File.Delete(Path.Combine(folder, FileName));
}
