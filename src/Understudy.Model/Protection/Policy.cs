using System.Text.Json.Serialization;

namespace Understudy.Model;

[JsonConverter(typeof(JsonStringEnumConverter<ReplicationMode>))]
public enum ReplicationMode
{
    [JsonStringEnumMemberName("periodic")] Periodic,
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

    /// <summary>When first copies begin, in UTC; null is at once.</summary>
    public TimeOnly? StartTime { get; init; }

    /// <summary>A failover is committed by itself after this; null is by hand.</summary>
    public TimeSpan? CommitAfter { get; init; }

    /// <summary>A failover is cancelled by itself after this, where the source was verified startable; null is by hand.</summary>
    public TimeSpan? CancelAfter { get; init; }

    public int BranchDays { get; init; } = BranchRules.DefaultDays;

    /// <summary>After a boot of its host at which nobody says whether the VM still belongs there, it is started after this; null holds it.</summary>
    public TimeSpan? GuardStartsAfter { get; init; }

    public IsolatedSourceAction IsolatedSource { get; init; } = IsolatedSourceAction.Pause;

    /// <summary>Points that are cut and marked by the clock.</summary>
    public Timetable Bookmarks { get; init; } = Timetable.None;

    public RpoLimits Rpo { get; init; } = RpoLimits.Usual;
}

/// <summary>When an old newest point is told of (MON-1). Null is by the frequency.</summary>
/// <param name="Warning">Age of the newest point; usually one and a half frequencies.</param>
/// <param name="Critical">As before; usually two frequencies.</param>
/// <param name="CriticalAfter">How long it has to be beyond <paramref name="Critical"/>; usually three cycles or 60 s, whichever is shorter.</param>
public sealed record RpoLimits(TimeSpan? Warning, TimeSpan? Critical, TimeSpan? CriticalAfter)
{
    private const double WarningAtFrequencies = 1.5;
    private const double CriticalAtFrequencies = 2;
    private const int CriticalAfterCycles = 3;

    /// <summary>A long frequency must not hide an outage.</summary>
    private static readonly TimeSpan _longestPatience = TimeSpan.FromSeconds(60);

    public static RpoLimits Usual { get; } = new(null, null, null);

    public TimeSpan WarningFor(TimeSpan frequency) => Warning ?? frequency * WarningAtFrequencies;

    public TimeSpan CriticalFor(TimeSpan frequency) => Critical ?? frequency * CriticalAtFrequencies;

    public TimeSpan PatienceFor(TimeSpan frequency)
    {
        TimeSpan cycles = frequency * CriticalAfterCycles;
        return CriticalAfter ?? (cycles < _longestPatience ? cycles : _longestPatience);
    }
}
