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
        Assert.Equal(expected, HealthRules.JudgeRpo(TimeSpan.FromSeconds(rpo), TimeSpan.FromSeconds(lateFor), TimeSpan.FromSeconds(frequency)));
    }

    [Fact]
    public void Points_that_arrive_late_do_not_end_the_lateness()
    {
        TimeSpan frequency = TimeSpan.FromSeconds(30);
        RpoWatch first = RpoWatch.Observe(null, Now, Now, frequency);
        RpoWatch second = RpoWatch.Observe(first, Now.AddSeconds(200), Now.AddSeconds(100), frequency);

        Assert.Equal(Now.AddSeconds(60), first.LateSince);
        Assert.Equal(first.LateSince, second.LateSince);
    }

    [Fact]
    public void A_point_that_arrives_in_time_ends_the_lateness()
    {
        TimeSpan frequency = TimeSpan.FromSeconds(30);
        RpoWatch late = RpoWatch.Observe(RpoWatch.Observe(null, Now, Now, frequency), Now.AddSeconds(200), Now.AddSeconds(100), frequency);
        RpoWatch caughtUp = RpoWatch.Observe(late, Now.AddSeconds(210), Now.AddSeconds(200), frequency);

        Assert.Equal(Now.AddSeconds(260), caughtUp.LateSince);
    }

    [Fact]
    public void A_report_that_repeats_a_point_changes_nothing()
    {
        RpoWatch watch = RpoWatch.Observe(null, Now, Now, TimeSpan.FromSeconds(30));

        Assert.Equal(watch, RpoWatch.Observe(watch, Now.AddHours(1), Now, TimeSpan.FromSeconds(30)));
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
        Assert.Equal("RPO now 4 min, wanted 30s, recovers in 12 min.", reason.Reason);
        Assert.Equal("The link would hold 5min.", reason.Remedy);
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
            OldestTestStartedAt = Now.AddDays(-2),
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

    private static HealthInputs Inputs() => new(
        Now, ProtectionState.Protected, TimeSpan.FromSeconds(30), Now.AddSeconds(-10), Now.AddSeconds(50), "alpha", true, "beta", true,
        Reports.Source(), Reports.Target(), null);
}
