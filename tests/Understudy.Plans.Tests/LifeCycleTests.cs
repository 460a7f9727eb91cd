using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>Every pair of state and command, with all that a command may need and with none of it.</summary>
public sealed class LifeCycleTests
{
    public static TheoryData<ProtectionState, VmCommand> Pairs()
    {
        TheoryData<ProtectionState, VmCommand> pairs = [];
        foreach (ProtectionState state in Enum.GetValues<ProtectionState>())
        {
            foreach (VmCommand command in Enum.GetValues<VmCommand>())
            {
                pairs.Add(state, command);
            }
        }

        return pairs;
    }

    /// <summary>The end of a protection that failed in its first step, retried when the VM has gone elsewhere meanwhile.</summary>
    [Theory]
    [InlineData(StepKind.RemoveReplica, ProtectionStage.Replicating, true)]
    [InlineData(StepKind.RemoveReplica, ProtectionStage.FailingOver, false)]
    [InlineData(StepKind.RemoveReplica, ProtectionStage.CommitPending, false)]
    [InlineData(StepKind.RemoveReplica, ProtectionStage.FailedOver, false)]
    [InlineData(StepKind.RetireSource, ProtectionStage.FailedOver, true)]
    [InlineData(StepKind.RetireSource, ProtectionStage.Replicating, false)]
    public void An_end_is_retried_only_where_it_was_given_for(StepKind first, ProtectionStage stage, bool isStill) =>
        Assert.Equal(isStill, LifeCycle.IsStillTheEnd([new FlowStep(first, StepState.Failed)], stage, source: null, target: null));

    /// <summary>What is left of an old cancel, a hand-over with its number, would be done to a VM that has moved since.</summary>
    [Theory]
    [InlineData(JobAction.Cancel, JobAction.PlannedFailover, true)]
    [InlineData(JobAction.Commit, JobAction.ChangePoint, true)]
    [InlineData(JobAction.PlannedFailover, JobAction.UnplannedFailover, true)]
    [InlineData(JobAction.Promote, JobAction.Cancel, true)]
    [InlineData(JobAction.Cancel, JobAction.Export, false)]
    [InlineData(JobAction.Export, JobAction.PlannedFailover, false)]
    [InlineData(JobAction.Unprotect, JobAction.Commit, false)] // has its own rule
    public void A_move_is_not_retried_once_another_was_ordered(JobAction retried, JobAction later, bool isOvertaken)
    {
        Assert.Equal(isOvertaken, LifeCycle.IsOvertaken(retried, later, [new FlowStep(StepKind.CheckFailover, StepState.Succeeded), new FlowStep(StepKind.FenceSource, StepState.Failed)]));
        Assert.False(LifeCycle.IsOvertaken(retried, later, [new FlowStep(StepKind.CheckFailover, StepState.Failed), new FlowStep(StepKind.FenceSource, StepState.Pending)]));
    }

    /// <summary>A bookmark that was refused once would wait for ever in a state in which no cut is made: a retry is the command anew.
    /// What is so already, because only the answer was lost, may be asked for again.</summary>
    [Theory]
    [InlineData(JobAction.Mark, ProtectionState.Protected, true)]
    [InlineData(JobAction.Mark, ProtectionState.FailedOver, false)]
    [InlineData(JobAction.Resync, ProtectionState.Protected, true)]
    [InlineData(JobAction.Resync, ProtectionState.CommitPending, false)]
    [InlineData(JobAction.Pause, ProtectionState.Paused, true)]
    [InlineData(JobAction.Pause, ProtectionState.FailedOver, false)]
    [InlineData(JobAction.Resume, ProtectionState.Protected, true)]
    [InlineData(JobAction.Resume, ProtectionState.FailedOver, false)]
    [InlineData(JobAction.Cancel, ProtectionState.FailedOver, true)] // has rules of its own
    public void A_retry_of_what_cannot_be_half_done_is_the_command_given_anew(JobAction retried, ProtectionState state, bool isLawful) =>
        Assert.Equal(isLawful, LifeCycle.WhyNotAnew(new VmSituation { Vm = "web1", State = state, Target = "beta", HasPoints = true }, retried) is null);

    /// <summary>The replica is gone, and a failover that was tried all the same came to nothing: only the rest of the end leads out.</summary>
    [Theory]
    [InlineData(ProtectionStage.FailingOver, true)]
    [InlineData(ProtectionStage.CommitPending, false)]
    public void An_end_that_has_done_its_part_at_one_side_goes_on(ProtectionStage stage, bool isStill) => Assert.Equal(
        isStill,
        LifeCycle.IsStillTheEnd(
            [new FlowStep(StepKind.RemoveReplica, StepState.Succeeded), new FlowStep(StepKind.StopSource, StepState.Failed)], stage, source: null, target: null));

    /// <summary>Said a second time, the other way round: where each command is lawful when nothing it needs is missing.</summary>
    [Theory]
    [InlineData(VmCommand.Protect, "unprotected")]
    [InlineData(VmCommand.Unprotect, "preparing, first copy, protected, resynchronising, paused, target full, failed over")]
    [InlineData(VmCommand.Set, "preparing, first copy, protected, resynchronising, paused, test running, target full, failing over, commit pending, failed over")]
    [InlineData(VmCommand.Pause, "first copy, protected, resynchronising, test running, target full")]
    [InlineData(VmCommand.Resume, "paused")]
    [InlineData(VmCommand.Resync, "protected, test running")]
    [InlineData(VmCommand.Mark, "protected, test running")]
    [InlineData(VmCommand.Test, "protected, resynchronising, paused, test running, target full, commit pending, failed over")]
    [InlineData(VmCommand.Promote, "resynchronising, paused, test running, target full")]
    [InlineData(VmCommand.PlannedFailover, "protected, test running")]
    [InlineData(VmCommand.UnplannedFailover, "protected, resynchronising, paused, test running, target full, failing over")]
    [InlineData(VmCommand.ChangePoint, "commit pending")]
    [InlineData(VmCommand.Cancel, "commit pending")]
    [InlineData(VmCommand.Commit, "commit pending")]
    [InlineData(VmCommand.Export, "protected, resynchronising, paused, test running, target full, failing over, commit pending, failed over")]
    [InlineData(VmCommand.Mount, "protected, resynchronising, paused, test running, target full, failing over, commit pending, failed over")]
    [InlineData(VmCommand.Attach, "protected, resynchronising, paused, test running, target full, failing over, commit pending, failed over")]
    [InlineData(VmCommand.Unmount, "protected, resynchronising, paused, test running, target full, failing over, commit pending, failed over")]
    [InlineData(VmCommand.Detach, "protected, resynchronising, paused, test running, target full, failing over, commit pending, failed over")]
    [InlineData(VmCommand.DeleteBranch, "protected, resynchronising, paused, test running, target full, failing over, commit pending, failed over")]
    public void Command_is_lawful_in_these_states_and_no_others(VmCommand command, string states)
    {
        IEnumerable<string> lawful = LifeCycle.States.Where(state => LifeCycle.Decide(Enough(state, command), command) is Decision.Go).Select(state => state.Word());

        Assert.Equal(states, string.Join(", ", lawful));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Every_pair_makes_a_job_or_says_what_why_and_what_comes_first(ProtectionState state, VmCommand command)
    {
        foreach (VmSituation situation in new[] { Enough(state, command), Bare(state) })
        {
            switch (LifeCycle.Decide(situation, command))
            {
                case Decision.Go go:
                    Assert.NotEmpty(go.Steps);
                    Assert.Equal(go.Steps.Distinct(), go.Steps);
                    Assert.DoesNotContain(go.Steps, JobFlow.IsUndo);
                    break;
                case Decision.Refuse refuse:
                    Assert.Contains("web1", refuse.Error.What, StringComparison.Ordinal);
                    Assert.EndsWith(".", refuse.Error.Why, StringComparison.Ordinal);
                    Assert.NotEmpty(refuse.Error.Next);
                    Assert.Equal(ExitCode.Refused, refuse.Error.Kind.ToExitCode());
                    break;
                default:
                    Assert.Fail("neither");
                    break;
            }
        }
    }

    [Fact]
    public void Every_state_and_every_command_is_in_the_table()
    {
        Assert.Equal(Enum.GetValues<ProtectionState>().Order(), LifeCycle.States.Order());
        Assert.Equal(
            Enum.GetValues<JobAction>().Order(),
            Enum.GetValues<VmCommand>().Select(command => LifeCycle.States
                .Select(state => LifeCycle.Decide(Enough(state, command) with { SourceBranches = 1 }, command)).OfType<Decision.Go>().First().Action).Order());
    }

    [Theory]
    [InlineData(VmCommand.Test)]
    [InlineData(VmCommand.PlannedFailover)]
    [InlineData(VmCommand.UnplannedFailover)]
    [InlineData(VmCommand.Export)]
    [InlineData(VmCommand.Mount)]
    [InlineData(VmCommand.Attach)]
    [InlineData(VmCommand.Unmount)]
    [InlineData(VmCommand.Detach)]
    [InlineData(VmCommand.DeleteBranch)]
    public void Nothing_is_started_from_what_is_not_there(VmCommand command)
    {
        Assert.Equal("state-refuses", Refusal(Bare(ProtectionState.Protected), command).Code);
    }

    [Fact]
    public void A_failover_starts_from_points_only_and_a_test_from_a_branch_too()
    {
        VmSituation branchOnly = Bare(ProtectionState.Protected) with { TargetBranches = 1 };

        Assert.IsType<Decision.Go>(LifeCycle.Decide(branchOnly, VmCommand.Test));
        Assert.IsType<Decision.Refuse>(LifeCycle.Decide(branchOnly, VmCommand.UnplannedFailover));
    }

    [Fact]
    public void Protection_does_not_end_under_what_still_stands_on_the_replica()
    {
        foreach (ProtectionState state in LifeCycle.States.Where(state => LifeCycle.Decide(Bare(state), VmCommand.Unprotect) is Decision.Go))
        {
            Assert.Contains("test", Refusal(Bare(state) with { Tests = 1 }, VmCommand.Unprotect).Why, StringComparison.Ordinal);
            Assert.Contains("mounted", Refusal(Bare(state) with { Mounts = 1 }, VmCommand.Unprotect).Why, StringComparison.Ordinal);
            Assert.Contains("mounted", Refusal(Bare(state) with { Attached = 1 }, VmCommand.Unprotect).Why, StringComparison.Ordinal);
            Assert.Contains("2 branches", Refusal(Bare(state) with { TargetBranches = 2 }, VmCommand.Unprotect).Why, StringComparison.Ordinal);
        }

        Assert.Contains("lock it", Refusal(Bare(ProtectionState.FailedOver) with { MergeWaits = "lock it" }, VmCommand.Unprotect).Why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_vm_in_transit_or_half_started_has_one_way_out_by_the_record_of_its_target()
    {
        VmSituation inTransit = Bare(ProtectionState.FailingOver) with { HasPoints = true };
        Assert.IsType<Decision.Go>(LifeCycle.Decide(inTransit, VmCommand.UnplannedFailover));
        Assert.IsType<Decision.Refuse>(LifeCycle.Decide(inTransit, VmCommand.Cancel));

        VmSituation starting = inTransit with { StartsAtTarget = true, OwnedAtTarget = true };
        Assert.IsType<Decision.Refuse>(LifeCycle.Decide(starting, VmCommand.UnplannedFailover));
        Assert.IsType<Decision.Go>(LifeCycle.Decide(starting, VmCommand.Cancel));
    }

    [Fact]
    public void A_fence_that_a_failover_left_behind_is_opened_by_cancelling()
    {
        VmSituation fenced = Bare(ProtectionState.Protected) with { Fenced = true };

        Assert.Equal(JobAction.Cancel, Assert.IsType<Decision.Go>(LifeCycle.Decide(fenced, VmCommand.Cancel)).Action);
    }

    [Fact]
    public void Old_disks_of_a_source_can_be_deleted_after_the_protection_has_ended()
    {
        VmSituation kept = Bare(ProtectionState.Unprotected) with { SourceBranches = 1 };

        Assert.IsType<Decision.Go>(LifeCycle.Decide(kept, VmCommand.DeleteBranch));
        Assert.Equal("vm-not-protected", Refusal(Bare(ProtectionState.Unprotected), VmCommand.DeleteBranch).Code);
    }

    [Fact]
    public void Protection_that_ends_after_a_failover_keeps_the_old_source_blocked()
    {
        Decision.Go go = Assert.IsType<Decision.Go>(LifeCycle.Decide(Bare(ProtectionState.FailedOver), VmCommand.Unprotect));

        Assert.Equal([StepKind.RetireSource, StepKind.RemoveReplica], go.Steps);
    }

    /// <summary>The source owns it again: there is nothing to retire there, and what the commit at the target waits for never comes.</summary>
    [Fact]
    public void Protection_that_ends_after_a_claim_at_the_source_lets_the_target_go_first()
    {
        VmSituation claimed = Bare(ProtectionState.FailedOver) with { OwnedAtSource = true, MergeWaits = "VM web1 is off" };

        Decision.Go go = Assert.IsType<Decision.Go>(LifeCycle.Decide(claimed, VmCommand.Unprotect));

        Assert.Equal([StepKind.RemoveReplica, StepKind.StopSource], go.Steps);
    }

    [Fact]
    public void A_planned_failover_fences_before_it_shuts_down_and_offers_after_the_last_change()
    {
        Decision.Go go = Assert.IsType<Decision.Go>(LifeCycle.Decide(Enough(ProtectionState.Protected, VmCommand.PlannedFailover), VmCommand.PlannedFailover));

        StepKind[] order = [StepKind.RunLastCycle, StepKind.FenceSource, StepKind.ShutDownGuest, StepKind.SendLastChange, StepKind.OfferVm, StepKind.StartAtTarget, StepKind.HandOver];
        Assert.Equal(order, go.Steps.Where(order.Contains));
    }

    [Fact]
    public void A_protection_is_not_ended_while_its_source_knows_of_an_owner_that_the_vault_has_not_heard_of()
    {
        VmSituation overtaken = Enough(ProtectionState.Protected, VmCommand.Unprotect) with { Overtaken = true };
        Assert.Equal("state-refuses", Refusal(overtaken, VmCommand.Unprotect).Code);
        Assert.IsType<Decision.Go>(LifeCycle.Decide(overtaken with { State = ProtectionState.FailedOver }, VmCommand.Unprotect));
    }

    [Fact]
    public void The_page_of_states_shows_this_table()
    {
        string page = Page.Read("docs/operations/states.md");

        Assert.Contains(LifeCyclePage.Table(), page, StringComparison.Ordinal);
        Assert.Contains(LifeCyclePage.Legend(), page, StringComparison.Ordinal);
    }

    private static ErrorInfo Refusal(VmSituation situation, VmCommand command) =>
        Assert.IsType<Decision.Refuse>(LifeCycle.Decide(situation, command)).Error;

    private static VmSituation Bare(ProtectionState state) => new() { Vm = "web1", State = state, Target = "beta" };

    /// <summary>All that the command needs, and nothing that is in its way.</summary>
    internal static VmSituation Enough(ProtectionState state, VmCommand command)
    {
        VmSituation bare = Bare(state) with { HasPoints = true };
        return command switch
        {
            VmCommand.Promote => bare with { Tests = 1 },
            VmCommand.Unmount => bare with { Mounts = 1 },
            VmCommand.Detach => bare with { Attached = 1 },
            VmCommand.DeleteBranch => bare with { TargetBranches = 1 },
            _ => bare,
        };
    }
}
