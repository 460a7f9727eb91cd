using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class CountdownTests
{
    private static readonly TimeSpan Half = TimeSpan.FromMinutes(30);

    [Theory]
    [InlineData(FailoverKind.Planned, true, JobAction.Cancel)]
    [InlineData(FailoverKind.Planned, false, null)]
    [InlineData(FailoverKind.Unplanned, true, null)]
    [InlineData(FailoverKind.Unplanned, false, null)]
    public void A_failover_is_cancelled_by_itself_only_where_the_source_was_verified_startable(FailoverKind kind, bool ranAtSource, JobAction? expected)
    {
        Countdown? countdown = Countdown.Of(new PendingFailover(kind, Reports.Noon, ranAtSource), new Policy { Name = "p", CancelAfter = Half });

        Assert.Equal(expected, countdown?.Does);
    }

    [Theory]
    [InlineData(FailoverKind.Planned)]
    [InlineData(FailoverKind.Unplanned)]
    public void A_failover_is_committed_by_itself_so_long_after_its_last_change_of_point(FailoverKind kind)
    {
        Countdown? countdown = Countdown.Of(new PendingFailover(kind, Reports.Noon, false), new Policy { Name = "p", CommitAfter = Half });

        Assert.Equal(new Countdown(JobAction.Commit, Reports.Noon + Half), countdown);
    }

    [Fact]
    public void Nothing_runs_down_while_nothing_is_pending_or_the_policy_leaves_it_to_people()
    {
        Assert.Null(Countdown.Of(null, new Policy { Name = "p", CommitAfter = Half }));
        Assert.Null(Countdown.Of(new PendingFailover(FailoverKind.Planned, Reports.Noon, true), new Policy { Name = "p" }));
    }
}
