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
        Walk([.. Steps(command).Select(kind => new FlowStep(kind, StepState.Pending))], false, false, 0, (steps, cancelled, end) =>
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
        Walk([.. Steps(VmCommand.Test).Select(kind => new FlowStep(kind, StepState.Pending))], false, false, 0, (steps, _, _) =>
            Assert.NotEqual(StepState.Pending, steps.Single(step => step.Kind == StepKind.RemoveTest).State));
    }

    [Theory]
    [InlineData(VmCommand.UnplannedFailover, StepKind.StartAtTarget)]
    [InlineData(VmCommand.Commit, StepKind.CommitAtTarget)]
    [InlineData(VmCommand.Unprotect, StepKind.StopSource)]
    public void What_cannot_be_left_half_done_goes_on_when_cancelled(VmCommand command, StepKind running)
    {
        FlowStep[] steps = [.. Steps(command).Select(kind => new FlowStep(kind, kind == running ? StepState.Running : StepState.Pending))];
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

    private static void Walk(FlowStep[] steps, bool cancelled, bool completed, int depth, Action<FlowStep[], bool, JobState> onEnd)
    {
        Assert.True(depth < 30, "the job does not end");
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
                Walk(waiting, cancelled, true, depth + 1, onEnd);
                Walk(waiting, true, completed, depth + 1, onEnd);
                break;
            case FlowAction.Run run:
                WalkStep(steps, run.Index, cancelled, completed, depth, onEnd);
                break;
        }
    }

    private static void WalkStep(FlowStep[] steps, int index, bool cancelled, bool completed, int depth, Action<FlowStep[], bool, JobState> onEnd)
    {
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

    private static IReadOnlyList<StepKind> Steps(VmCommand command)
    {
        ProtectionState state = command switch
        {
            VmCommand.Protect => ProtectionState.Unprotected,
            VmCommand.Commit => ProtectionState.CommitPending,
            _ => ProtectionState.Protected,
        };
        return Assert.IsType<Decision.Go>(LifeCycle.Decide(new VmSituation("web1", state, "beta", true, 0), command)).Steps;
    }
}
