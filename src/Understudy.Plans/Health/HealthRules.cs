using Understudy.Model;

namespace Understudy.Plans;

/// <param name="Frequency">Of the policy.</param>
/// <param name="LastPointCutAt">Null before the first point.</param>
/// <param name="LateSince">From <see cref="RpoWatch"/>.</param>
/// <param name="OldestTestStartedAt">Null when no test stands.</param>
public sealed record HealthInputs(
    DateTimeOffset Now,
    ProtectionState State,
    TimeSpan Frequency,
    DateTimeOffset? LastPointCutAt,
    DateTimeOffset? LateSince,
    string SourceHost,
    bool SourceOnline,
    string TargetHost,
    bool TargetOnline,
    SourceReport? Source,
    TargetReport? Target,
    DateTimeOffset? OldestTestStartedAt);

/// <summary>Health of a VM in periodic mode (MON-1): pure, so the same inputs always read the same.</summary>
public static class HealthRules
{
    public const double WarningAtFrequencies = 1.5;
    public const double CriticalAtFrequencies = 2;
    public const int CriticalAfterCycles = 3;

    /// <summary>Critical comes after three cycles or this, whichever is shorter: a long frequency must not hide an outage.</summary>
    public static readonly TimeSpan CriticalAfter = TimeSpan.FromSeconds(60);

    public static readonly TimeSpan TestIsOldAfter = TimeSpan.FromDays(1);

    private static readonly TimeSpan[] _usualFrequencies =
    [
        TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(5),
        TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(15), TimeSpan.FromMinutes(30), TimeSpan.FromHours(1), TimeSpan.FromHours(2),
        TimeSpan.FromHours(4), TimeSpan.FromHours(8), TimeSpan.FromHours(12), TimeSpan.FromHours(24),
    ];

    public static Health Judge(HealthInputs vm)
    {
        List<HealthReason> reasons = [];
        if (vm.State is ProtectionState.FailingOver or ProtectionState.CommitPending or ProtectionState.FailedOver)
        {
            JudgeAtTarget(vm, reasons);
        }
        else
        {
            JudgeReplication(vm, reasons);
        }

        if (vm.Target?.Error is { } error)
        {
            reasons.Add(new HealthReason(HealthLevel.Critical, $"{vm.TargetHost}: {error.What}. {error.Why}", error.Next));
        }

        if (vm.Now - vm.OldestTestStartedAt > TestIsOldAfter)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, "A test has stood for more than a day and takes space at the target.", "Complete it: `understudy job list` names it."));
        }

        return reasons.Count == 0 ? Health.Normal : new Health(reasons);
    }

    /// <summary>How late the newest point is, by the policy's own measure.</summary>
    public static HealthLevel JudgeRpo(TimeSpan rpo, TimeSpan lateFor, TimeSpan frequency)
    {
        TimeSpan patience = CriticalAfter < frequency * CriticalAfterCycles ? CriticalAfter : frequency * CriticalAfterCycles;
        if (rpo > frequency * CriticalAtFrequencies && lateFor >= patience)
        {
            return HealthLevel.Critical;
        }

        return rpo > frequency * WarningAtFrequencies ? HealthLevel.Warning : HealthLevel.Normal;
    }

    /// <summary>The shortest usual frequency that a cycle of this duration fits into with a quarter to spare; null when none does.</summary>
    public static TimeSpan? FittingFrequency(TimeSpan cycle)
    {
        foreach (TimeSpan frequency in _usualFrequencies)
        {
            if (cycle * 1.25 <= frequency)
            {
                return frequency;
            }
        }

        return null;
    }

    private static void JudgeAtTarget(HealthInputs vm, List<HealthReason> reasons)
    {
        if (!vm.TargetOnline)
        {
            reasons.Add(new HealthReason(HealthLevel.Critical, $"{vm.TargetHost}, where the VM runs, is not connected.", "Start its agent and see its log."));
        }

        if (vm.Target?.Waiting is { } waiting)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"The commit waits: {waiting}", null));
        }

        reasons.Add(new HealthReason(
            HealthLevel.Warning,
            $"The VM runs at {vm.TargetHost} and nothing replicates it.",
            vm.State == ProtectionState.FailedOver ? "End this protection, then protect the VM from there." : null));
    }

    private static void JudgeReplication(HealthInputs vm, List<HealthReason> reasons)
    {
        if (!vm.SourceOnline)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"{vm.SourceHost} is not connected; its newest news may be old.", "Start its agent and see its log."));
        }

        if (!vm.TargetOnline)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"{vm.TargetHost} is not connected; no failover can be started there.", "Start its agent and see its log."));
        }

        if (vm.Source?.Error is { } error)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"Replication does not go on: {error.What}. {error.Why} It is tried again.", error.Next));
        }

        if (vm.Source?.Warning is { } warning)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, warning, "Choose a longer frequency, or give the link more room."));
        }

        if (vm.State == ProtectionState.TargetFull)
        {
            reasons.Add(new HealthReason(HealthLevel.Critical, $"{vm.TargetHost} has no space for more; the source spools.", "Free space there, or shorten the retention."));
        }

        if (vm.LastPointCutAt is { } cutAt)
        {
            JudgeLateness(vm, cutAt, reasons);
        }
    }

    private static void JudgeLateness(HealthInputs vm, DateTimeOffset cutAt, List<HealthReason> reasons)
    {
        TimeSpan rpo = vm.Now - cutAt;
        TimeSpan lateFor = vm.LateSince is { } since && vm.Now > since ? vm.Now - since : TimeSpan.Zero;
        HealthLevel level = JudgeRpo(rpo, lateFor, vm.Frequency);
        if (level == HealthLevel.Normal)
        {
            return;
        }

        string text = $"RPO now {Durations.Rough(rpo)}, wanted {Durations.Format(vm.Frequency)}";
        if (vm.Source is { BytesBehind: > 0, BytesPerSecond: > 0 } source)
        {
            text += $", recovers in {Durations.Rough(TimeSpan.FromSeconds((double)source.BytesBehind / source.BytesPerSecond))}";
        }

        string? remedy = vm.Source?.LastCycleDuration is { } cycle && cycle > vm.Frequency
            ? FittingFrequency(cycle) is { } fitting ? $"The link would hold {Durations.Format(fitting)}." : "The link cannot hold this VM at any frequency."
            : null;
        reasons.Add(new HealthReason(level, text + ".", remedy));
    }
}

/// <summary>Since when the RPO has been beyond the critical bound without a break.</summary>
/// <param name="CutAt">Of the newest point seen.</param>
/// <param name="LateSince">In the future while the newest point is still young enough.</param>
public readonly record struct RpoWatch(DateTimeOffset CutAt, DateTimeOffset LateSince)
{
    /// <summary>Takes a newly arrived point in. One that arrives late already does not end the lateness.</summary>
    public static RpoWatch Observe(RpoWatch? before, DateTimeOffset now, DateTimeOffset cutAt, TimeSpan frequency)
    {
        DateTimeOffset lateFrom = cutAt + (frequency * HealthRules.CriticalAtFrequencies);
        if (before is not { } watch)
        {
            return new RpoWatch(cutAt, lateFrom);
        }

        if (cutAt <= watch.CutAt)
        {
            return watch;
        }

        bool wasLate = now > watch.LateSince;
        bool isLate = now > lateFrom;
        return new RpoWatch(cutAt, wasLate && isLate ? watch.LateSince : lateFrom);
    }
}
