using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Protection.Durable;

namespace Understudy.Protection.Source.Guest;

/// <summary>What happens to a guest that still runs when its host learns of a newer line (PRE-5).</summary>
public enum DeposedAction
{
    Pause,
    ShutDown,

    /// <summary>It runs on, and nobody can reach it.</summary>
    CutNics,
}

/// <summary>A source whose VM is owned elsewhere by a newer line: its disks are a branch.</summary>
/// <param name="Branch">Under which they are listed.</param>
/// <param name="Lost">The line this side had.</param>
/// <param name="Line">The newer one.</param>
/// <param name="MintedAt">When that began, by its owner's clock.</param>
/// <param name="FoundRunning">A copy ran here when the line was learnt of: two may have run at once.</param>
/// <param name="Settled">The copy here was looked at and does nothing any more.</param>
/// <param name="StoppedAt">When we stopped it; null when it was off already, or runs yet.</param>
public sealed record DeposedSource(
    BranchId Branch,
    LineId Lost,
    LineId Line,
    DateTimeOffset MintedAt,
    DateTimeOffset LearntAt,
    DeposedAction Action,
    bool FoundRunning = false,
    bool Settled = false,
    DateTimeOffset? StoppedAt = null);

/// <summary>What we did to a guest and must not forget (docs/formats/run-state.md).</summary>
/// <param name="GoesOn">It ran until we stopped it, or it is to be started: it runs again as soon as it may run here.</param>
/// <param name="LinksAreCut">Its network cables are out, and go in again when it may run here.</param>
/// <param name="Retired">The VM stays at the other side for good: what is left of it here is listed until it is deleted by name.</param>
/// <param name="Disks">What the VM had when it was last owned here; null before the first look.</param>
internal sealed record GuestRecord(
    bool GoesOn, bool LinksAreCut, DeposedSource? Deposed, RetiredDisks? Retired, IReadOnlyList<NotedDisk>? Disks = null)
{
    public static GuestRecord Untouched { get; } = new(false, false, null, null);
}

/// <param name="Branch">Under which the old disks are listed.</param>
/// <param name="Replicated">Target devices of the disks that are in the replica, which the other side keeps.</param>
public sealed record RetiredDisks(BranchId Branch, DateTimeOffset At, IReadOnlyList<string> Replicated);

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    Converters = [typeof(LineIdJson), typeof(BranchIdJson)])]
[JsonSerializable(typeof(GuestRecord))]
internal sealed partial class GuestJson : JsonSerializerContext;

internal static class GuestFile
{
    public const string Name = "guest.state";

    public static DurableDocument<GuestRecord> Document { get; } = new("understudy-guest", GuestJson.Default.GuestRecord);
}
