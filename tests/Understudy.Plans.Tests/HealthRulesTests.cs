using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class HealthRulesTests
{
    private static readonly DateTimeOffset Now = Reports.Noon;

    [Theory]
    // frequency, RPO, beyond twice since, health (all in seconds): MON-1's rule at its edges
    [InlineData(30, 0, 0, HealthLevel.Normal)]
    [InlineData(30, 45, 0, HealthLevel.Normal)]
    [InlineData(30, 46, 0, HealthLevel.Warning)]
    [InlineData(30, 60, 0, HealthLevel.Warning)]
    [InlineData(30, 61, 1, HealthLevel.Warning)]
    [InlineData(30, 119, 59, HealthLevel.Warning)]
    [InlineData(30, 120, 60, HealthLevel.Critical)]
    [InlineData(15, 31, 1, HealthLevel.Warning)]
    [InlineData(15, 74, 44, HealthLevel.Warning)]
    [InlineData(15, 75, 45, HealthLevel.Critical)]
    [InlineData(300, 451, 0, HealthLevel.Warning)]
    [InlineData(300, 660, 60, HealthLevel.Critical)]
    [InlineData(86400, 172_800 + 60, 60, HealthLevel.Critical)]
    [InlineData(86400, 172_800 + 59, 59, HealthLevel.Warning)]
    public void Lateness_is_judged_by_the_policys_own_measure(int frequency, int rpo, int lateFor, HealthLevel expected)
    {
        Assert.Equal(expected, HealthRules.JudgeRpo(TimeSpan.FromSeconds(rpo), TimeSpan.FromSeconds(lateFor), Every(frequency)));
    }

    [Fact]
    public void Points_that_arrive_late_do_not_end_the_lateness()
    {
        Policy policy = Every(30);
        RpoWatch first = RpoWatch.Observe(null, Now, Now, policy);
        RpoWatch second = RpoWatch.Observe(first, Now.AddSeconds(200), Now.AddSeconds(100), policy);

        Assert.Equal(Now.AddSeconds(60), first.LateSince);
        Assert.Equal(first.LateSince, second.LateSince);
    }

    [Fact]
    public void A_point_that_arrives_in_time_ends_the_lateness()
    {
        Policy policy = Every(30);
        RpoWatch late = RpoWatch.Observe(RpoWatch.Observe(null, Now, Now, policy), Now.AddSeconds(200), Now.AddSeconds(100), policy);
        RpoWatch caughtUp = RpoWatch.Observe(late, Now.AddSeconds(210), Now.AddSeconds(200), policy);

        Assert.Equal(Now.AddSeconds(260), caughtUp.LateSince);
    }

    [Fact]
    public void A_report_that_repeats_a_point_changes_nothing()
    {
        RpoWatch watch = RpoWatch.Observe(null, Now, Now, Every(30));

        Assert.Equal(watch, RpoWatch.Observe(watch, Now.AddHours(1), Now, Every(30)));
    }

    [Fact]
    public void A_vm_in_time_with_both_hosts_connected_is_Normal()
    {
        Assert.Equal(HealthLevel.Normal, HealthRules.Judge(Inputs()).Level);
    }

    [Fact]
    public void A_slow_link_says_how_late_until_when_and_which_frequency_it_would_hold()
    {
        Health health = HealthRules.Judge(Inputs() with
        {
            LastPointCutAt = Now.AddMinutes(-4),
            LateSince = Now.AddMinutes(-3),
            Source = Reports.Source() with { BytesBehind = 720_000_000, BytesPerSecond = 1_000_000, LastCycleDuration = TimeSpan.FromSeconds(100) },
        });

        HealthReason reason = Assert.Single(health.Reasons);
        Assert.Equal(HealthLevel.Critical, reason.Level);
        Assert.Equal("RPO now 4 min, recovers in 12 min; wanted 30s.", reason.Reason);
        Assert.Equal("The link would hold 5min: `understudy policy set p --frequency 5min`.", reason.Remedy);
    }

    [Theory]
    [InlineData(720_000_000, 1_000_000, 0, 720)]
    [InlineData(720_000_000, 1_000_000, 15_000_000, 1440)] // half of the link goes to what comes in meanwhile
    [InlineData(720_000_000, 1_000_000, 30_000_000, null)] // the link does not gain
    [InlineData(720_000_000, 0, 0, null)]
    [InlineData(0, 1_000_000, 0, null)]
    public void Recovery_is_reckoned_with_what_changes_meanwhile(long behind, long perSecond, long cycleBytes, int? seconds)
    {
        SourceReport source = Reports.Source() with { BytesBehind = behind, BytesPerSecond = perSecond, AverageCycleBytes = cycleBytes };

        Assert.Equal(seconds, HealthRules.RecoversIn(source, TimeSpan.FromSeconds(30))?.TotalSeconds);
    }

    [Fact]
    public void Bounds_of_a_policy_take_the_place_of_the_usual_ones()
    {
        Policy patient = Every(30) with { Rpo = new RpoLimits(TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(2)) };

        Assert.Equal(HealthLevel.Normal, HealthRules.JudgeRpo(TimeSpan.FromMinutes(5), TimeSpan.Zero, patient));
        Assert.Equal(HealthLevel.Warning, HealthRules.JudgeRpo(TimeSpan.FromMinutes(6), TimeSpan.Zero, patient));
        Assert.Equal(HealthLevel.Warning, HealthRules.JudgeRpo(TimeSpan.FromMinutes(11), TimeSpan.FromSeconds(119), patient));
        Assert.Equal(HealthLevel.Critical, HealthRules.JudgeRpo(TimeSpan.FromMinutes(12), TimeSpan.FromSeconds(120), patient));
        Assert.Equal(Now.AddMinutes(10), RpoWatch.Observe(null, Now, Now, patient).LateSince);
    }

    [Theory]
    [InlineData(true, HealthLevel.Warning)]
    [InlineData(false, HealthLevel.Critical)] // whether it is off still, nobody knows
    public void A_vm_that_is_off_is_not_late(bool sourceOnline, HealthLevel level)
    {
        Health health = HealthRules.Judge(Inputs() with
        {
            SourceOnline = sourceOnline,
            LastPointCutAt = Now.AddDays(-1),
            LateSince = Now.AddDays(-1),
            Source = Reports.Source() with { Power = VmPower.Off },
        });

        Assert.Equal(level, health.Level);
        Assert.Equal(sourceOnline, health.Reasons.Any(reason => reason.Reason.Contains("is sent when it starts", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_pause_is_a_warning_of_its_own_and_no_lateness()
    {
        Health health = HealthRules.Judge(Inputs() with { LastPointCutAt = Now.AddDays(-1), LateSince = Now.AddDays(-1), Source = Reports.Source() with { PausedBy = "admin" } });

        HealthReason reason = Assert.Single(health.Reasons);
        Assert.Equal((HealthLevel.Warning, "Replication is paused by admin."), (reason.Level, reason.Reason));
    }

    [Fact]
    public void A_fence_that_nothing_holds_any_more_is_critical()
    {
        Assert.Equal(HealthLevel.Critical, HealthRules.Judge(Inputs() with { Source = Reports.Source() with { Fenced = true } }).Level);
    }

    [Fact]
    public void A_test_older_than_a_day_is_a_warning_with_its_cost()
    {
        TestInfo old = new(new TestId(Guid.NewGuid()), "web1-test", Reports.Point(Now).Id, new JobId(17), Now.AddDays(-2));
        TestInfo young = old with { Id = new TestId(Guid.NewGuid()), StartedAt = Now.AddHours(-2) };
        Health health = HealthRules.Judge(Inputs() with
        {
            Tests = [old, young],
            Target = Reports.Target() with { TestBytes = new Dictionary<Guid, long> { [old.Id.Value] = 3L << 30 } },
        });

        HealthReason reason = Assert.Single(health.Reasons);
        Assert.Equal(HealthLevel.Warning, reason.Level);
        Assert.Contains("web1-test has stood for 2 days; it has written 3.0 GiB, keeps the history from", reason.Reason, StringComparison.Ordinal);
        Assert.Contains("understudy job complete 17", reason.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(10, 15)]
    [InlineData(12, 15)]
    [InlineData(13, 30)]
    [InlineData(100, 300)]
    [InlineData(69_120, 86_400)]
    public void Fitting_frequency_leaves_a_quarter_to_spare(int cycleSeconds, int expectedSeconds)
    {
        Assert.Equal(TimeSpan.FromSeconds(expectedSeconds), HealthRules.FittingFrequency(TimeSpan.FromSeconds(cycleSeconds)));
    }

    [Fact]
    public void No_frequency_fits_a_cycle_of_a_day()
    {
        Assert.Null(HealthRules.FittingFrequency(TimeSpan.FromDays(1)));
    }

    [Fact]
    public void Each_trouble_is_a_reason_with_a_remedy()
    {
        ErrorInfo error = new(ErrorKind.Failed, "x", "The target refused", "It is restarting.", "Wait.");
        Health health = HealthRules.Judge(Inputs() with
        {
            State = ProtectionState.TargetFull,
            SourceOnline = false,
            TargetOnline = false,
            Source = Reports.Source() with { Error = error },
            Target = Reports.Target() with { Error = error },
            Tests = [new TestInfo(default, "web1-test", default, new JobId(1), Now.AddDays(-2))],
        });

        Assert.Equal(6, health.Reasons.Count);
        Assert.All(health.Reasons, reason => Assert.NotNull(reason.Remedy));
        Assert.Equal(HealthLevel.Critical, health.Level);
    }

    [Theory]
    [InlineData(ProtectionState.CommitPending)]
    [InlineData(ProtectionState.FailedOver)]
    public void A_vm_that_runs_at_the_target_is_not_late_but_stands_alone(ProtectionState state)
    {
        Health health = HealthRules.Judge(Inputs() with { State = state, LastPointCutAt = Now.AddDays(-1), LateSince = Now.AddDays(-1), SourceOnline = false });

        Assert.Contains("nothing replicates it", Assert.Single(health.Reasons).Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ProtectionState.Protected)]
    [InlineData(ProtectionState.CommitPending)]
    public void A_source_whose_start_guard_is_not_in_force_is_a_warning_in_every_state(ProtectionState state)
    {
        Health health = HealthRules.Judge(Inputs() with { State = state, GuardProblem = "restart libvirtd once" });

        HealthReason reason = Assert.Single(health.Reasons, reason => reason.Reason.Contains("start guard", StringComparison.Ordinal));
        Assert.Equal((HealthLevel.Warning, "On that host: restart libvirtd once."), (reason.Level, reason.Remedy));
    }

    [Theory]
    [InlineData(VmPower.Running, PointKind.CrashConsistent, "the VM is being shut down")]
    [InlineData(VmPower.ShuttingDown, PointKind.CrashConsistent, "the VM is being shut down")]
    [InlineData(VmPower.Off, PointKind.Planned, "its last change is at beta")]
    [InlineData(VmPower.Off, PointKind.CrashConsistent, "what it wrote last is sent when replication goes on")]
    public void A_vm_in_the_maintenance_of_its_host_is_said_to_be_as_far_as_it_is(VmPower power, PointKind newest, string said)
    {
        RecoveryPointInfo point = Reports.Point(Now) with { Kind = newest };
        HealthInputs vm = Inputs() with { SourceInMaintenance = true, SourceOnline = false, Source = Reports.Source() with { Power = power, LastPoint = point }, Target = Reports.Target() with { Newest = point } };

        Assert.Contains(said, Assert.Single(HealthRules.Judge(vm).Reasons).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_wrong_at_the_target_is_said_also_while_the_source_is_in_maintenance()
    {
        Health health = HealthRules.Judge(Inputs() with { SourceInMaintenance = true, TargetOnline = false, State = ProtectionState.TargetFull });

        Assert.Equal(HealthLevel.Critical, health.Level);
        Assert.Contains(health.Reasons, reason => reason.Reason.Contains("beta is not connected", StringComparison.Ordinal));
        Assert.Contains(health.Reasons, reason => reason.Reason.Contains("no space", StringComparison.Ordinal));
    }

    private static Policy Every(int seconds) => new() { Name = "p", Frequency = TimeSpan.FromSeconds(seconds) };

    private static HealthInputs Inputs() => new()
    {
        Now = Now,
        State = ProtectionState.Protected,
        Policy = Every(30),
        LastPointCutAt = Now.AddSeconds(-10),
        LateSince = Now.AddSeconds(50),
        SourceHost = "alpha",
        SourceOnline = true,
        TargetHost = "beta",
        TargetOnline = true,
        Source = Reports.Source(),
        Target = Reports.Target(),
    };
}
