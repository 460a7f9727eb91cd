using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>Every job of this version, walked through every way its steps can end and every moment a cancel can come.</summary>
public sealed class JobFlowTests
{
    private static readonly StepState[] Outcomes = [StepState.Succeeded, StepState.Failed, StepState.Cancelled];

    public static TheoryData<VmCommand> Commands => [.. Enum.GetValues<VmCommand>()];

    [Theory]
    [MemberData(nameof(Commands))]
    public void Every_way_through_a_job_ends_and_in_the_right_state(VmCommand command)
    {
        int ends = 0;
        Walk(Pending(Steps(command)), false, false, 0, (steps, cancelled, end) =>
        {
            ends++;
            bool failed = steps.Any(step => step.State == StepState.Failed);
            bool stopped = steps.Any(step => step.State == StepState.Cancelled);
            Assert.Equal(failed ? JobState.Failed : cancelled || stopped ? JobState.Cancelled : JobState.Succeeded, end);
        });
        Assert.True(ends > 1, $"only {ends} ways were walked");
    }

    [Fact]
    public void A_test_job_never_leaves_its_test_standing()
    {
        Walk(Pending(Steps(VmCommand.Test)), false, false, 0, (steps, _, _) =>
            Assert.NotEqual(StepState.Pending, steps.Single(step => step.Kind == StepKind.RemoveTest).State));
    }

    [Theory]
    [InlineData(VmCommand.UnplannedFailover, StepKind.StartAtTarget)]
    [InlineData(VmCommand.Commit, StepKind.CommitAtTarget)]
    [InlineData(VmCommand.Unprotect, StepKind.RemoveReplica)]
    [InlineData(VmCommand.Unprotect, StepKind.StopSource)]
    public void What_cannot_be_left_half_done_goes_on_when_cancelled(VmCommand command, StepKind running)
    {
        FlowStep[] steps = [.. Pending(Steps(command)).Select(step => step.Kind == running ? step with { State = StepState.Running } : step)];
        int index = Array.FindIndex(steps, step => step.Kind == running);
        for (int before = 0; before < index; before++)
        {
            steps[before] = steps[before] with { State = StepState.Succeeded };
        }

        Assert.Equal(new FlowAction.Run(index), JobFlow.Next(steps, cancelRequested: true, completed: false));
        Assert.NotNull(JobFlow.WhyNotCancellable(steps));
    }

    [Fact]
    public void A_test_waits_for_its_user_and_goes_on_when_completed()
    {
        FlowStep[] steps =
        [
            new(StepKind.StartTest, StepState.Succeeded),
            new(StepKind.AwaitTestCompletion, StepState.Waiting),
            new(StepKind.RemoveTest, StepState.Pending),
        ];

        Assert.Equal(new FlowAction.Wait(1, JobWait.TestCompletion), JobFlow.Next(steps, false, completed: false));
        Assert.Equal(new FlowAction.Pass(1, StepState.Succeeded), JobFlow.Next(steps, false, completed: true));
    }

    [Fact]
    public void A_step_that_ran_when_the_vault_stopped_is_run_again()
    {
        FlowStep[] steps = [new(StepKind.CheckBothSides, StepState.Succeeded), new(StepKind.CreateReplica, StepState.Running)];

        Assert.Equal(new FlowAction.Run(1), JobFlow.Next(steps, false, false));
    }

    [Theory]
    [InlineData(StepKind.CheckFailover)]
    [InlineData(StepKind.RunLastCycle)]
    [InlineData(StepKind.FenceSource, StepKind.OpenFence)]
    [InlineData(StepKind.ShutDownGuest, StepKind.OpenFence)]
    [InlineData(StepKind.SendLastChange, StepKind.OpenFence)]
    [InlineData(StepKind.OfferVm, StepKind.TakeBack, StepKind.OpenFence)]
    [InlineData(StepKind.StartAtTarget, StepKind.TakeBack, StepKind.OpenFence)]
    [InlineData(StepKind.HandOver)]
    public void A_planned_failover_that_fails_gives_the_vm_back_as_long_as_it_can(StepKind fails, params StepKind[] undos)
    {
        Assert.Equal(undos, JobFlow.UndosOf(FailedAt(Steps(VmCommand.PlannedFailover), fails)));
    }

    [Theory]
    [InlineData(StepKind.AssessSource)]
    [InlineData(StepKind.TryFenceSource, StepKind.OpenFence)]
    [InlineData(StepKind.TryLastChange, StepKind.OpenFence)]
    [InlineData(StepKind.StartAtTarget)]
    public void An_unplanned_failover_opens_the_fence_only_while_the_target_cannot_have_the_vm(StepKind fails, params StepKind[] undos)
    {
        Assert.Equal(undos, JobFlow.UndosOf(FailedAt(LifeCycle.UnplannedWithShutdown, fails)));
    }

    [Fact]
    public void Of_all_ways_through_a_planned_failover_none_ends_with_a_fence_that_nobody_opens()
    {
        Walk(Pending(Steps(VmCommand.PlannedFailover)), false, false, 0, (steps, _, end) =>
        {
            bool fenced = steps.Any(step => step.Kind == StepKind.FenceSource && step.State != StepState.Pending);
            bool over = steps.Single(step => step.Kind == StepKind.StartAtTarget).State == StepState.Succeeded;
            bool opened = steps.Any(step => step is { Kind: StepKind.OpenFence, State: StepState.Succeeded });
            bool undoFailed = steps.Any(step => JobFlow.IsUndo(step.Kind) && step.State == StepState.Failed);
            Assert.True(!fenced || over || opened || (undoFailed && end == JobState.Failed), string.Join(", ", steps));
        });
    }

    [Fact]
    public void A_guest_that_does_not_shut_down_waits_for_action_and_an_answer_tries_again()
    {
        FlowStep[] steps = FailedAt(Steps(VmCommand.PlannedFailover), StepKind.ShutDownGuest);
        int index = Array.FindIndex(steps, step => step.Kind == StepKind.ShutDownGuest);
        steps = With(steps, index, StepState.Waiting);

        Assert.Equal(new FlowAction.Wait(index, JobWait.Action), JobFlow.Next(steps, false, completed: false));
        Assert.Equal(new FlowAction.Run(index), JobFlow.Next(With(steps, index, StepState.Pending), false, completed: false));
        Assert.Equal(new FlowAction.Pass(index, StepState.Cancelled), JobFlow.Next(steps, true, completed: false));
        Assert.Null(JobFlow.WhyNotCancellable(steps));
    }

    private static void Walk(FlowStep[] steps, bool cancelled, bool completed, int depth, Action<FlowStep[], bool, JobState> onEnd)
    {
        Assert.True(depth < 40, "the job does not end");
        switch (JobFlow.Next(steps, cancelled, completed))
        {
            case FlowAction.End end:
                onEnd(steps, cancelled, end.As);
                break;
            case FlowAction.Pass pass:
                Walk(With(steps, pass.Index, pass.As), cancelled, completed, depth + 1, onEnd);
                break;
            case FlowAction.Wait wait:
                FlowStep[] waiting = With(steps, wait.Index, StepState.Waiting);
                Walk(wait.For == JobWait.Action ? With(steps, wait.Index, StepState.Pending) : waiting, cancelled, true, depth + 1, onEnd);
                Walk(waiting, true, completed, depth + 1, onEnd);
                break;
            case FlowAction.Undo undo:
                Assert.DoesNotContain(steps, step => step.Kind == undo.Kind);
                Walk([.. steps, new FlowStep(undo.Kind, StepState.Pending)], cancelled, completed, depth + 1, onEnd);
                break;
            case FlowAction.Run run:
                WalkStep(steps, run.Index, cancelled, completed, depth, onEnd);
                break;
        }
    }

    private static void WalkStep(FlowStep[] steps, int index, bool cancelled, bool completed, int depth, Action<FlowStep[], bool, JobState> onEnd)
    {
        if (steps[index] is { Kind: StepKind.ShutDownGuest, State: StepState.Pending } && depth < 8) // a guest may be asked about again and again
        {
            Walk(With(steps, index, StepState.Waiting), cancelled, false, depth + 1, onEnd);
        }

        bool cancellable = JobFlow.IsCancellable(steps[index].Kind);
        foreach (StepState outcome in Outcomes.Where(outcome => outcome != StepState.Cancelled || (cancellable && cancelled)))
        {
            Walk(With(steps, index, outcome), cancelled, completed, depth + 1, onEnd);
        }

        FlowStep[] running = With(steps, index, StepState.Running);
        if (!cancelled && JobFlow.WhyNotCancellable(running) is null)
        {
            Walk(running, true, completed, depth + 1, onEnd);
        }
    }

    private static FlowStep[] With(FlowStep[] steps, int index, StepState state)
    {
        FlowStep[] changed = [.. steps];
        changed[index] = changed[index] with { State = state };
        return changed;
    }

    private static FlowStep[] Pending(IReadOnlyList<StepKind> kinds) => [.. kinds.Select(kind => new FlowStep(kind, StepState.Pending))];

    private static FlowStep[] FailedAt(IReadOnlyList<StepKind> kinds, StepKind fails)
    {
        FlowStep[] steps = Pending(kinds);
        int index = Array.FindIndex(steps, step => step.Kind == fails);
        for (int before = 0; before < index; before++)
        {
            steps = With(steps, before, StepState.Succeeded);
        }

        return With(steps, index, StepState.Failed);
    }

    private static IReadOnlyList<StepKind> Steps(VmCommand command) => LifeCycle.States
        .Select(state => LifeCycle.Decide(LifeCycleTests.Enough(state, command), command))
        .OfType<Decision.Go>().First().Steps;
}
