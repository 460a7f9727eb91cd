using Understudy.Model;

namespace Understudy.Plans;

public readonly record struct FlowStep(StepKind Kind, StepState State);

/// <summary>What the runner does next with a job.</summary>
public abstract record FlowAction
{
    private FlowAction()
    {
    }

    /// <summary>Carry out the step, or go on with it after a restart: its operation id makes both the same.</summary>
    public sealed record Run(int Index) : FlowAction;

    /// <summary>The step is passed over, with this state.</summary>
    public sealed record Pass(int Index, StepState As) : FlowAction;

    public sealed record Wait(int Index, JobWait For) : FlowAction;

    public sealed record End(JobState As) : FlowAction;
}

/// <summary>
/// The order of a job: steps one after another, a failed step ends it, cancelling ends it where that leaves things whole.
/// A test is never left standing by its own job: cancelled or failed, it still removes what it made.
/// </summary>
public static class JobFlow
{
    /// <param name="completed">The user has completed the test.</param>
    public static FlowAction Next(IReadOnlyList<FlowStep> steps, bool cancelRequested, bool completed)
    {
        bool cleansUp = steps.Any(step => step.Kind == StepKind.RemoveTest);
        bool failed = false;
        for (int index = 0; index < steps.Count; index++)
        {
            FlowStep step = steps[index];
            switch (step.State)
            {
                case StepState.Succeeded:
                    break;
                case StepState.Cancelled when cleansUp:
                    break;
                case StepState.Cancelled:
                    return new FlowAction.End(JobState.Cancelled);
                case StepState.Failed when cleansUp:
                    failed = true;
                    break;
                case StepState.Failed:
                    return new FlowAction.End(JobState.Failed);
                default:
                    return Begin(step, index, cancelRequested || failed, completed);
            }
        }

        return new FlowAction.End(failed ? JobState.Failed : cancelRequested ? JobState.Cancelled : JobState.Succeeded);
    }

    /// <summary>Why the job cannot be cancelled now; null when it can.</summary>
    public static string? WhyNotCancellable(IReadOnlyList<FlowStep> steps)
    {
        foreach (FlowStep step in steps)
        {
            if (step.State is StepState.Pending or StepState.Running or StepState.Waiting)
            {
                return IsCancellable(step.Kind) || (step.State == StepState.Pending && step.Kind != StepKind.RemoveTest)
                    ? null
                    : WhyNot(step.Kind);
            }
        }

        return "it has ended";
    }

    public static bool IsCancellable(StepKind kind) => kind is
        StepKind.CheckBothSides or StepKind.CreateReplica or StepKind.StartSource or StepKind.FirstCopy
        or StepKind.StartTest or StepKind.AwaitTestCompletion or StepKind.AssessSource or StepKind.ExportPoint;

    private static FlowAction Begin(FlowStep step, int index, bool cancelRequested, bool completed)
    {
        if (step.Kind == StepKind.AwaitTestCompletion)
        {
            return cancelRequested || completed
                ? new FlowAction.Pass(index, completed ? StepState.Succeeded : StepState.Cancelled)
                : new FlowAction.Wait(index, JobWait.TestCompletion);
        }

        bool stops = cancelRequested && (IsCancellable(step.Kind) || (step.State == StepState.Pending && step.Kind != StepKind.RemoveTest));
        return stops ? new FlowAction.Pass(index, StepState.Cancelled) : new FlowAction.Run(index);
    }

    private static string WhyNot(StepKind kind) => kind switch
    {
        StepKind.RemoveTest => "it is removing the test already",
        StepKind.StartAtTarget => "the VM is being started at the target",
        StepKind.CommitAtTarget => "a commit that has begun goes on to its end",
        StepKind.StopSource or StepKind.RemoveReplica => "an end of protection that has begun goes on to its end",
        _ => "the step goes on to its end",
    };
}
