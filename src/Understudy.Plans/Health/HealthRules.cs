using Understudy.Model;

namespace Understudy.Plans;

/// <summary>All that health is judged by.</summary>
public sealed record HealthInputs
{
    public required DateTimeOffset Now { get; init; }

    public required ProtectionState State { get; init; }

    public required Policy Policy { get; init; }

    /// <summary>Null before the first point.</summary>
    public DateTimeOffset? LastPointCutAt { get; init; }

    /// <summary>From <see cref="RpoWatch"/>.</summary>
    public DateTimeOffset? LateSince { get; init; }

    public required string SourceHost { get; init; }

    public required bool SourceOnline { get; init; }

    public required string TargetHost { get; init; }

    public required bool TargetOnline { get; init; }

    /// <summary>Why nothing keeps the source from starting the VM when it must not; null when the start guard is in force.</summary>
    public string? GuardProblem { get; init; }

    /// <summary>The source's host is being worked on, and its VM rests for that.</summary>
    public bool SourceInMaintenance { get; init; }

    public bool TargetInMaintenance { get; init; }

    public SourceReport? Source { get; init; }

    public TargetReport? Target { get; init; }

    /// <summary>Tests that stand.</summary>
    public IReadOnlyList<TestInfo> Tests { get; init; } = [];
}

/// <summary>Health of a VM in periodic mode (MON-1): pure, so the same inputs always read the same.</summary>
public static class HealthRules
{
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

        if (vm.GuardProblem is { } guard)
        {
            reasons.Add(new HealthReason(
                HealthLevel.Warning, $"The start guard of {vm.SourceHost} is not in force: after a failover the VM could be started there as well.", $"On that host: {guard}."));
        }

        reasons.AddRange(vm.Tests.Where(test => vm.Now - test.StartedAt > TestIsOldAfter).Select(test => OldTest(vm, test)));
        return reasons.Count == 0 ? Health.Normal : new Health(reasons);
    }

    /// <summary>How late the newest point is, by the policy's own measure.</summary>
    public static HealthLevel JudgeRpo(TimeSpan rpo, TimeSpan lateFor, Policy policy)
    {
        if (rpo > policy.Rpo.CriticalFor(policy.Frequency) && lateFor >= policy.Rpo.PatienceFor(policy.Frequency))
        {
            return HealthLevel.Critical;
        }

        return rpo > policy.Rpo.WarningFor(policy.Frequency) ? HealthLevel.Warning : HealthLevel.Normal;
    }

    /// <summary>The VM belongs to its source, and nobody can start it there: a failover has begun, or has left its fence behind.</summary>
    public static bool IsFencedOwner(SourceReport? source) => source is { Fenced: true, Ownership: null or { State: OwnershipState.Here } };

    /// <summary>
    /// When the newest point will be young again, by what is left to send and what comes in meanwhile. Null when the link does
    /// not gain on the changes, or nothing is known.
    /// </summary>
    public static TimeSpan? RecoversIn(SourceReport? source, TimeSpan frequency)
    {
        if (source is not { BytesBehind: > 0, BytesPerSecond: > 0 })
        {
            return null;
        }

        double gain = source.BytesPerSecond - (source.AverageCycleBytes / frequency.TotalSeconds);
        return gain > 0 ? TimeSpan.FromSeconds(source.BytesBehind / gain) : null;
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

    private static HealthReason OldTest(HealthInputs vm, TestInfo test)
    {
        string cost = vm.Target?.TestBytes?.TryGetValue(test.Id.Value, out long bytes) == true ? $" has written {Sizes.Format(bytes)}," : "";
        return new HealthReason(
            HealthLevel.Warning,
            $"Test {test.VmName} has stood for {Durations.Rough(vm.Now - test.StartedAt)}; it{cost} keeps the history from {test.Point} on and holds up a commit's last merge.",
            $"Complete it: `understudy job complete {test.Job}`.");
    }

    private static void JudgeAtTarget(HealthInputs vm, List<HealthReason> reasons)
    {
        if (!vm.TargetOnline)
        {
            reasons.Add(new HealthReason(HealthLevel.Critical, $"{vm.TargetHost}, where the VM runs, is not connected.", "Start its agent and see its log."));
        }

        if (vm.Target?.Waiting is { } waiting)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"The commit has not ended: {waiting.TrimEnd('.')}.", vm.Target.Failover?.Power is VmPower.Off or VmPower.Crashed && !waiting.Contains("a pin", StringComparison.Ordinal)
                ? "Start the VM: the rest is done while it runs."
                : "It ends by itself; the VM runs meanwhile, on one overlay more."));
        }

        if (vm.Target?.Ownership is { State: OwnershipState.Here, Validated: false })
        {
            reasons.Add(new HealthReason(
                HealthLevel.Warning, $"{vm.TargetHost} has booted and nobody has said yet that the VM still belongs there; it is held.",
                $"See that {vm.SourceHost} is connected, or say it there: `understudy local claim`."));
        }

        if (vm.Target?.Failover?.Power is { } power and not VmPower.Running)
        {
            reasons.Add(new HealthReason(HealthLevel.Critical, $"The VM at {vm.TargetHost} is {power.Word()}.", "Look at it there: `virsh list --all`."));
        }

        if (vm.State == ProtectionState.FailingOver)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, "A failover has begun and not ended.", "Its job says what it waits for: `understudy job list`."));
            return;
        }

        reasons.Add(new HealthReason(
            HealthLevel.Warning,
            vm.Target?.Failover?.Power is VmPower.Off or VmPower.Crashed ? $"The VM is at {vm.TargetHost} and nothing replicates it." : $"The VM runs at {vm.TargetHost} and nothing replicates it.",
            vm.State == ProtectionState.FailedOver ? "End this protection, then protect the VM from there." : "Commit or cancel the failover."));
    }

    private static void JudgeReplication(HealthInputs vm, List<HealthReason> reasons)
    {
        if (vm.SourceInMaintenance)
        {
            JudgeResting(vm, reasons);
            return;
        }

        if (vm.TargetInMaintenance)
        {
            reasons.Add(new HealthReason(
                HealthLevel.Warning, $"{vm.TargetHost} is in maintenance: {vm.SourceHost} spools, and no failover can be started there.",
                $"It is over when the host has booted, or with `understudy host maintenance {vm.TargetHost} --end`."));
            return;
        }

        if (!vm.SourceOnline)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"{vm.SourceHost} is not connected; its newest news may be old.", "Start its agent and see its log."));
        }

        if (!vm.TargetOnline)
        {
            reasons.Add(TargetAway(vm));
        }

        if (vm.Source?.Error is { } error)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"Replication does not go on: {error.What}. {error.Why} It is tried again.", error.Next));
        }

        if (vm.Source?.Warning is { } warning)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, warning, Fitting(vm) ?? "Choose a longer frequency, or give the link more room."));
        }

        if (vm.Source?.PausedBy is { } by)
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"Replication is paused by {by}.", "Resume it: `understudy vm resume`."));
        }

        if (IsFencedOwner(vm.Source))
        {
            reasons.Add(new HealthReason(HealthLevel.Critical, $"Nobody can start the VM at {vm.SourceHost}: a failover that did not happen has fenced it.", "Open the fence: `understudy vm cancel`."));
        }

        if (vm.Source?.Ownership is { Validated: false })
        {
            reasons.Add(new HealthReason(
                HealthLevel.Warning, $"{vm.SourceHost} has booted and nobody has said yet that the VM still belongs there; it is held.", $"See that {vm.TargetHost} is connected."));
        }

        if (vm.Target?.Ownership is { State: OwnershipState.Offered })
        {
            reasons.Add(new HealthReason(HealthLevel.Warning, $"The VM is on its way back to {vm.SourceHost} and waits for it.", "Start that host and its agent."));
        }

        if (vm.State == ProtectionState.TargetFull)
        {
            reasons.Add(TargetFull(vm));
        }

        if (vm.LastPointCutAt is { } cutAt)
        {
            JudgeLateness(vm, cutAt, reasons);
        }
    }

    /// <summary>In the maintenance of its host: what that looks like from outside is not said, what is wrong at the target is.</summary>
    private static void JudgeResting(HealthInputs vm, List<HealthReason> reasons)
    {
        bool isWhole = vm.Source?.LastPoint is { Kind: PointKind.Planned } || vm.Target?.Newest is { Kind: PointKind.Planned };
        string how = vm.Source is not { Power: VmPower.Off or VmPower.Crashed } ? "the VM is being shut down"
            : isWhole ? $"the VM is off, and its last change is at {vm.TargetHost}"
            : "the VM is off, and what it wrote last is sent when replication goes on";
        reasons.Add(new HealthReason(
            HealthLevel.Warning, $"{vm.SourceHost} is in maintenance: {how}.", $"It goes on when the host has booted, or with `understudy host maintenance {vm.SourceHost} --end`."));
        if (!vm.TargetOnline)
        {
            reasons.Add(TargetAway(vm));
        }

        if (vm.State == ProtectionState.TargetFull)
        {
            reasons.Add(TargetFull(vm));
        }
    }

    private static HealthReason TargetAway(HealthInputs vm) =>
        new(HealthLevel.Warning, $"{vm.TargetHost} is not connected; no failover can be started there.", "Start its agent and see its log.");

    private static HealthReason TargetFull(HealthInputs vm) =>
        new(HealthLevel.Critical, $"{vm.TargetHost} has no space for more; the source spools.", "Free space there, or shorten the retention.");

    private static void JudgeLateness(HealthInputs vm, DateTimeOffset cutAt, List<HealthReason> reasons)
    {
        TimeSpan rpo = vm.Now - cutAt;
        TimeSpan lateFor = vm.LateSince is { } since && vm.Now > since ? vm.Now - since : TimeSpan.Zero;
        HealthLevel level = JudgeRpo(rpo, lateFor, vm.Policy);
        if (level == HealthLevel.Normal || vm.Source?.PausedBy is not null) // a pause is said already, and is no lateness
        {
            return;
        }

        if (vm is { SourceOnline: true, Source.Power: VmPower.Off or VmPower.Crashed })
        {
            // No lateness either: it writes nothing that could be missing, and there is nothing that anybody could do about it.
            reasons.Add(new HealthReason(
                HealthLevel.Warning,
                $"The VM is off at {vm.SourceHost}, and its newest point is {Durations.Rough(rpo)} old: what it wrote after that is sent when it starts, or by a planned failover.",
                null));
            return;
        }

        string recovers = RecoversIn(vm.Source, vm.Policy.Frequency) is { } time ? $", recovers in {Durations.Rough(time)}" : "";
        reasons.Add(new HealthReason(level, $"RPO now {Durations.Rough(rpo)}{recovers}; wanted {Durations.Format(vm.Policy.Frequency)}.", Fitting(vm)));
    }

    /// <summary>The frequency that the last cycle would have fitted into, when it did not fit into the policy's.</summary>
    private static string? Fitting(HealthInputs vm) => vm.Source?.LastCycleDuration is { } cycle && cycle > vm.Policy.Frequency
        ? FittingFrequency(cycle) is { } fitting
            ? $"The link would hold {Durations.Format(fitting)}: `understudy policy set {vm.Policy.Name} --frequency {Durations.Format(fitting)}`."
            : "The link cannot hold this VM at any frequency."
        : null;
}

/// <summary>Since when the RPO has been beyond the critical bound without a break.</summary>
/// <param name="CutAt">Of the newest point seen.</param>
/// <param name="LateSince">In the future while the newest point is still young enough.</param>
public readonly record struct RpoWatch(DateTimeOffset CutAt, DateTimeOffset LateSince)
{
    /// <summary>Takes a newly arrived point in. One that arrives late already does not end the lateness.</summary>
    public static RpoWatch Observe(RpoWatch? before, DateTimeOffset now, DateTimeOffset cutAt, Policy policy)
    {
        DateTimeOffset lateFrom = cutAt + policy.Rpo.CriticalFor(policy.Frequency);
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
