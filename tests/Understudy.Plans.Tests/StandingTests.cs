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
    [InlineData(ProtectionStage.CommitPending, TargetPhase.Committing, null)]
    [InlineData(ProtectionStage.CommitPending, TargetPhase.FailedOver, ProtectionStage.FailedOver)]
    [InlineData(ProtectionStage.FailedOver, TargetPhase.FailedOver, null)]
    [InlineData(ProtectionStage.Preparing, TargetPhase.Receiving, ProtectionStage.Replicating)]
    public void Vault_follows_the_target(ProtectionStage stage, TargetPhase phase, ProtectionStage? expected)
    {
        Assert.Equal(expected, Standing.Reconcile(stage, Reports.Target() with { Phase = phase }));
    }

    [Fact]
    public void An_empty_replica_does_not_end_the_preparation()
    {
        Assert.Null(Standing.Reconcile(ProtectionStage.Preparing, Reports.Target() with { PointCount = 0 }));
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
