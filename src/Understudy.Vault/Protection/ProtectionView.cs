using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>One protection, from the vault's decisions and the agents' reports (MON-1, MON-5).</summary>
internal static class ProtectionView
{
    public static bool IsAtTarget(ProtectionStage stage) => stage is ProtectionStage.CommitPending or ProtectionStage.FailedOver;

    /// <summary>Fenced, owned here, and off.</summary>
    private static bool IsAtRest(SourceReport? source) => HealthRules.IsFencedOwner(source) && source is { Power: VmPower.Off };

    public static ProtectionDto ToDto(ProtectedVm vm, VmReports reports, Sight sight)
    {
        ProtectionState state = Standing.Of(vm.Stage, reports.Source, reports.Target, vm.Tests.Count);
        HostRow source = sight.Hosts[vm.SourceHost.Value];
        HostRow target = sight.Hosts[vm.TargetHost.Value];
        (string sourceSite, string targetSite) = (sight.Sites[source.SiteId], sight.Sites[target.SiteId]);
        Policy policy = sight.Policies[vm.Policy];
        bool atTarget = IsAtTarget(vm.Stage);
        Countdown? countdown = vm.Stage == ProtectionStage.CommitPending ? Countdown.Of(vm.Pending, policy) : null;
        Health health = HealthRules.Judge(new HealthInputs
        {
            Now = sight.Now,
            State = state,
            Policy = policy,
            LastPointCutAt = reports.Newest?.CutAt,
            LateSince = reports.Watch?.LateSince,
            SourceHost = source.Name,
            SourceOnline = sight.Agents.Find(vm.SourceHost) is not null,
            TargetHost = target.Name,
            TargetOnline = sight.Agents.Find(vm.TargetHost) is not null,
            GuardProblem = HostStore.FactsOf(source)?.GuardProblem,
            SourceInMaintenance = source.MaintenanceJson is not null && HealthRules.IsFencedOwner(reports.Source),
            TargetInMaintenance = target.MaintenanceJson is not null,
            Source = reports.Source,
            Target = reports.Target,
            Tests = vm.Tests,
        });
        return new ProtectionDto(
            state,
            Standing.WaitOf(state, reports.Target, countdown is not null, atRest: source.MaintenanceJson is not null && IsAtRest(reports.Source)),
            countdown is { } running ? new CountdownDto(running.Does.Word(), running.At, Math.Max(0, (running.At - sight.Now).TotalSeconds)) : null,
            reports.Source?.PausedBy,
            new HealthDto(health.Level, health.Reasons),
            $"{sourceSite} -> {targetSite}",
            atTarget ? targetSite : sourceSite,
            source.Name,
            target.Name,
            vm.TargetName,
            vm.Policy,
            vm.Line?.ToString(),
            Failover(reports.Target?.Failover, vm.Pending?.Run),
            Deposed(reports.Source?.Deposed),
            atTarget || reports.Newest is null ? null : VmView.Age(reports.Newest, sight.Now),
            Rpo(policy, sight.Rpo),
            reports.Newest is { } newest ? VmView.ToDto(newest) : null,
            reports.Target?.Oldest is { } oldest ? VmView.ToDto(oldest) : null,
            reports.Target?.PointCount ?? 0,
            reports.Target is { Oldest: { } first, Newest: { } last } ? (last.CutAt - first.CutAt).TotalSeconds : 0,
            reports.Target?.JournalBytes ?? 0,
            atTarget ? null : reports.Source?.NextCutAt,
            Copy(state, reports.Source),
            reports.Source?.BytesBehind ?? 0,
            HealthRules.RecoversIn(reports.Source, policy.Frequency)?.TotalSeconds,
            Cycles(reports.Source),
            vm.Nics,
            vm.Cpus,
            vm.MemoryBytes,
            vm.ExcludedDisks,
            [.. Tests(vm, reports.Target)],
            [.. (reports.Target?.Mounts ?? []).Select(mount => Mounted(mount, reports.Target?.Branches))],
            sight.Jobs.TryGetValue(vm.Vm.Value, out long job) ? job : null,
            ErrorDto.From(reports.Source?.Error ?? reports.Target?.Error),
            vm.Pool);
    }

    private static FailoverDetailDto? Failover(FailoverInfo? failover, RunChoices? run) => failover is null
        ? null
        : new FailoverDetailDto(
            failover.Kind, failover.Point.ToString(), failover.PointCutAt, failover.StartedAt, failover.VmName, failover.Label, failover.Power, run);

    private static DeposedDto? Deposed(DeposedInfo? deposed) => deposed is null
        ? null
        : new DeposedDto(
            deposed.Line.ToString(),
            deposed.StoppedAt ?? deposed.MintedAt,
            deposed.StoppedAt is { } stopped ? Math.Max(0, (stopped - deposed.MintedAt).TotalSeconds) : null,
            deposed.Action);

    private static RpoSummaryDto Rpo(Policy policy, IReadOnlyList<double> history)
    {
        double warning = policy.Rpo.WarningFor(policy.Frequency).TotalSeconds;
        return new RpoSummaryDto(
            policy.Frequency.TotalSeconds,
            warning,
            history.Count == 0 ? null : history.Max(),
            history.Count == 0 ? null : (double)history.Count(age => age <= warning) / history.Count);
    }

    /// <summary>Those of jobs, and those that were made at the host without the vault.</summary>
    private static IEnumerable<TestDto> Tests(ProtectedVm vm, TargetReport? target)
    {
        foreach (TestInfo test in vm.Tests)
        {
            yield return new TestDto(test.VmName, test.Point.ToString(), test.Job.Value, test.StartedAt, test.Label, BytesOf(test.Id));
        }

        foreach (TestId test in (target?.Tests ?? []).Where(test => vm.Tests.All(known => known.Id != test)))
        {
            yield return new TestDto(test.ToString(), null, null, null, null, BytesOf(test));
        }

        long? BytesOf(TestId test) => target?.TestBytes?.TryGetValue(test.Value, out long bytes) == true ? bytes : null;
    }

    private static MountedDto Mounted(MountInfo mount, IReadOnlyList<BranchInfo>? branches) => new(
        BranchNames.Of(mount),
        branches?.FirstOrDefault(branch => branch.Id == mount.Branch) is { } branch ? BranchNames.Of(branch) : mount.Point.ToString(),
        mount.ToVm,
        mount.Writable,
        mount.Devices,
        mount.Since);

    private static CopyProgressDto? Copy(ProtectionState state, SourceReport? source) =>
        source is null || state is not (ProtectionState.FirstCopy or ProtectionState.Resynchronising)
            ? null
            : new CopyProgressDto(source.BytesDone, source.BytesTotal, source.BytesPerSecond, Seconds(source.BytesTotal - source.BytesDone, source.BytesPerSecond));

    private static CyclesDto Cycles(SourceReport? source) => source is null
        ? new CyclesDto(0, 0, 0, 0, 0, null)
        : new CyclesDto(source.CyclesMade, source.CyclesMissed, source.CyclesFailed, source.AverageCycleBytes, source.LargestCycleBytes, source.LastCycleDuration?.TotalSeconds);

    private static double? Seconds(long bytes, long bytesPerSecond) => bytes > 0 && bytesPerSecond > 0 ? (double)bytes / bytesPerSecond : null;
}
