using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class StandingTests
{
    [Theory]
    [InlineData(ProtectionStage.Preparing, false, false, SourcePhase.FirstCopy, 0, ProtectionState.Preparing)]
    [InlineData(ProtectionStage.Replicating, false, false, SourcePhase.FirstCopy, 0, ProtectionState.FirstCopy)]
    [InlineData(ProtectionStage.Replicating, true, false, SourcePhase.Protected, 0, ProtectionState.Protected)]
    [InlineData(ProtectionStage.Replicating, true, false, SourcePhase.Resynchronising, 0, ProtectionState.Resynchronising)]
    [InlineData(ProtectionStage.Replicating, true, false, SourcePhase.Protected, 1, ProtectionState.TestRunning)]
    [InlineData(ProtectionStage.Replicating, true, true, SourcePhase.Protected, 1, ProtectionState.TargetFull)]
    [InlineData(ProtectionStage.FailingOver, true, false, SourcePhase.Protected, 0, ProtectionState.FailingOver)]
    [InlineData(ProtectionStage.CommitPending, true, false, SourcePhase.Protected, 1, ProtectionState.CommitPending)]
    [InlineData(ProtectionStage.FailedOver, false, false, SourcePhase.Protected, 0, ProtectionState.FailedOver)]
    public void State_follows_from_stage_and_reports(
        ProtectionStage stage, bool hasPoints, bool targetFull, SourcePhase phase, int tests, ProtectionState expected)
    {
        SourceReport source = Reports.Source() with { Phase = phase, TargetFull = targetFull, LastPoint = null };
        TargetReport target = Reports.Target() with { PointCount = hasPoints ? 3 : 0 };

        Assert.Equal(expected, Standing.Of(stage, source, target, tests));
    }

    [Fact]
    public void A_vm_whose_source_is_silent_keeps_its_state_from_the_target()
    {
        Assert.Equal(ProtectionState.Protected, Standing.Of(ProtectionStage.Replicating, null, Reports.Target(), 0));
    }

    [Theory]
    [InlineData(ProtectionStage.Replicating, TargetPhase.Receiving, null)]
    [InlineData(ProtectionStage.FailingOver, TargetPhase.Receiving, ProtectionStage.Replicating)]
    [InlineData(ProtectionStage.Replicating, TargetPhase.FailingOver, ProtectionStage.FailingOver)]
    [InlineData(ProtectionStage.Replicating, TargetPhase.CommitPending, ProtectionStage.CommitPending)]
    [InlineData(ProtectionStage.FailingOver, TargetPhase.CommitPending, ProtectionStage.CommitPending)]
    [InlineData(ProtectionStage.CommitPending, TargetPhase.Committing, ProtectionStage.FailedOver)]
    [InlineData(ProtectionStage.FailedOver, TargetPhase.Committing, null)]
    [InlineData(ProtectionStage.CommitPending, TargetPhase.FailedOver, ProtectionStage.FailedOver)]
    [InlineData(ProtectionStage.FailedOver, TargetPhase.FailedOver, null)]
    [InlineData(ProtectionStage.Preparing, TargetPhase.Receiving, ProtectionStage.Replicating)]
    public void Vault_follows_the_target(ProtectionStage stage, TargetPhase phase, ProtectionStage? expected)
    {
        Assert.Equal(expected, Standing.Reconcile(stage, Reports.Source(), Reports.Target() with { Phase = phase }));
    }

    [Fact]
    public void A_vm_in_transit_is_failing_over_until_its_target_has_taken_or_refused_it()
    {
        OwnershipInfo offered = new(OwnershipState.Offered, new LineId(1, 1), Reports.Noon, new TransferId(Guid.Empty));
        SourceReport source = Reports.Source() with { Ownership = offered };

        Assert.Equal(ProtectionStage.FailingOver, Standing.Reconcile(ProtectionStage.Replicating, source, Reports.Target()));
        Assert.Null(Standing.Reconcile(ProtectionStage.FailingOver, source, Reports.Target()));
        Assert.Equal(ProtectionStage.Replicating, Standing.Reconcile(ProtectionStage.FailingOver, source with { Ownership = offered with { State = OwnershipState.Here } }, Reports.Target()));
    }

    [Theory]
    [InlineData(ProtectionState.Protected, null, false, ProtectionWait.None)]
    [InlineData(ProtectionState.CommitPending, null, false, ProtectionWait.Commit)]
    [InlineData(ProtectionState.CommitPending, null, true, ProtectionWait.Countdown)]
    [InlineData(ProtectionState.FailedOver, null, false, ProtectionWait.None)]
    [InlineData(ProtectionState.FailedOver, "a branch needs the image", false, ProtectionWait.Pin)]
    public void Wait_is_named_for_what_is_waited_for(ProtectionState state, string? waiting, bool countdown, ProtectionWait expected)
    {
        Assert.Equal(expected, Standing.WaitOf(state, Reports.Target() with { Waiting = waiting }, countdown));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_pause_is_said_before_all_else(bool hasPoints)
    {
        SourceReport source = Reports.Source() with { PausedBy = "admin", TargetFull = true, Phase = SourcePhase.Resynchronising, LastPoint = null };

        Assert.Equal(ProtectionState.Paused, Standing.Of(ProtectionStage.Replicating, source, Reports.Target() with { PointCount = hasPoints ? 1 : 0 }, tests: 1));
    }

    [Fact]
    public void An_empty_replica_does_not_end_the_preparation()
    {
        Assert.Null(Standing.Reconcile(ProtectionStage.Preparing, null, Reports.Target() with { PointCount = 0 }));
    }
}

internal static class Reports
{
    public static readonly DateTimeOffset Noon = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    public static SourceReport Source() => new(
        default, default, SourcePhase.Protected, VmPower.Running, 0, 0, 0, 0, Point(Noon), null, null, 1, 0, 0, 0, 0, false, null);

    public static TargetReport Target() => new(default, default, default, TargetPhase.Receiving, 1, Point(Noon), Point(Noon), 0, 0, [], null);

    public static RecoveryPointInfo Point(DateTimeOffset cutAt) => new(new RecoveryPointId(new LineId(1, 1), 1), cutAt, PointKind.CrashConsistent, null);
}
