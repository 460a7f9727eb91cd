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

    /// <summary>Put this step at the end: it undoes what was done before the failure or the cancel.</summary>
    public sealed record Undo(StepKind Kind) : FlowAction;

    public sealed record End(JobState As) : FlowAction;
}

/// <summary>
/// The order of a job: steps one after another, a failed step ends it, cancelling ends it where that leaves things whole.
/// A test is never left standing by its own job: cancelled or failed, it still removes what it made; and so a maintenance
/// gives back the VM that it has put to rest. A failover that ends
/// before the target has the VM gives it back to the source (<see cref="UndosOf"/>); after that it only goes forward.
/// </summary>
public static class JobFlow
{
    /// <param name="completed">The user has completed the test, or the maintenance is over.</param>
    public static FlowAction Next(IReadOnlyList<FlowStep> steps, bool cancelRequested, bool completed)
    {
        bool cleansUp = steps.Any(step => step.Kind is StepKind.RemoveTest or StepKind.EndMaintenance);
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
                    return UndoThenEnd(steps, JobState.Cancelled);
                case StepState.Failed when cleansUp:
                    failed = true;
                    break;
                case StepState.Failed:
                    return UndoThenEnd(steps, JobState.Failed);
                default:
                    return Begin(step, index, cancelRequested || failed, completed);
            }
        }

        return new FlowAction.End(failed ? JobState.Failed : cancelRequested ? JobState.Cancelled : JobState.Succeeded);
    }

    /// <summary>Why the job cannot be cancelled now; null when it can.</summary>
    public static string? WhyNotCancellable(IReadOnlyList<FlowStep> steps)
    {
        if (steps.All(step => step.State is StepState.Succeeded or StepState.Failed or StepState.Cancelled))
        {
            return "it has ended";
        }

        if (steps.Any(step => step.State is StepState.Failed or StepState.Cancelled))
        {
            return "it is ending already";
        }

        FlowStep[] begun = [.. steps.Where(step => step.State != StepState.Pending)];
        return begun.Select(step => step.Kind).Where(IsNoReturn).Select(WhyNot).FirstOrDefault();
    }

    /// <summary>A cancel is passed on into such a step; all others go on to their end.</summary>
    public static bool IsCancellable(StepKind kind) => kind is
        StepKind.CheckBothSides or StepKind.CreateReplica or StepKind.StartSource or StepKind.FirstCopy
        or StepKind.StartTest or StepKind.AwaitTestCompletion or StepKind.AssessSource or StepKind.ExportPoint
        or StepKind.CheckFailover or StepKind.RunLastCycle or StepKind.FenceSource or StepKind.ShutDownGuest or StepKind.SendLastChange
        or StepKind.TryFenceSource or StepKind.TryShutDownGuest or StepKind.TryLastChange
        or StepKind.MarkPoint or StepKind.MountPoint or StepKind.AttachPoint;

    /// <summary>What gives the VM back to the source, in order; empty where there is nothing to give back, or it is too late.</summary>
    public static IReadOnlyList<StepKind> UndosOf(IReadOnlyList<FlowStep> steps)
    {
        StepState? started = StateOf(steps, StepKind.StartAtTarget);
        if (started == StepState.Succeeded)
        {
            return [];
        }

        if (StateOf(steps, StepKind.OfferVm) is not (null or StepState.Pending))
        {
            return [StepKind.TakeBack, StepKind.OpenFence]; // the target's durable refusal decides whether it still can be
        }

        // An unplanned start that was begun may have minted its line: nobody but the target knows, so the fence stays.
        bool fenced = (StateOf(steps, StepKind.FenceSource) ?? StateOf(steps, StepKind.TryFenceSource)) is not (null or StepState.Pending);
        return fenced && started is null or StepState.Pending ? [StepKind.OpenFence] : [];
    }

    public static bool IsUndo(StepKind kind) => kind is StepKind.OpenFence or StepKind.TakeBack;

    private static FlowAction UndoThenEnd(IReadOnlyList<FlowStep> steps, JobState end)
    {
        foreach (StepKind undo in UndosOf(steps))
        {
            switch (StateOf(steps, undo))
            {
                case null:
                    return new FlowAction.Undo(undo);
                case StepState.Succeeded:
                    break;
                case StepState.Failed or StepState.Cancelled:
                    return new FlowAction.End(JobState.Failed);
                default:
                    return new FlowAction.Run(IndexOf(steps, undo));
            }
        }

        return new FlowAction.End(end);
    }

    /// <summary>What a step waits for that nobody carries out; while it lasts other jobs may have the VM.</summary>
    private static JobWait? WaitOf(StepKind kind) => kind switch
    {
        StepKind.AwaitTestCompletion => JobWait.TestCompletion,
        StepKind.AwaitMaintenanceEnd => JobWait.Maintenance,
        _ => null,
    };

    private static FlowAction Begin(FlowStep step, int index, bool cancelRequested, bool completed)
    {
        if (WaitOf(step.Kind) is { } wait)
        {
            return cancelRequested || completed
                ? new FlowAction.Pass(index, completed ? StepState.Succeeded : StepState.Cancelled)
                : new FlowAction.Wait(index, wait);
        }

        if (step is { Kind: StepKind.ShutDownGuest, State: StepState.Waiting } && !cancelRequested)
        {
            return new FlowAction.Wait(index, JobWait.Action); // an answer makes the step pending again
        }

        bool stops = cancelRequested && (IsCancellable(step.Kind) || (step.State == StepState.Pending && (index == 0 || !IsForward(step.Kind))));
        return stops ? new FlowAction.Pass(index, StepState.Cancelled) : new FlowAction.Run(index);
    }

    /// <summary>Such a step follows what cannot be taken back, or takes back itself.</summary>
    private static bool IsForward(StepKind kind) => kind is
        StepKind.RemoveTest or StepKind.RemoveReplica or StepKind.StopSource or StepKind.HandOver or StepKind.AcceptAtSource or StepKind.SettleTransfer or StepKind.DisksAtSource or StepKind.SettingsAtTarget
        or StepKind.EndMaintenance
        || IsUndo(kind);

    private static bool IsNoReturn(StepKind kind) => kind is
        StepKind.RemoveTest or StepKind.StartAtTarget or StepKind.CommitAtTarget or StepKind.StopSource or StepKind.RetireSource or StepKind.RemoveReplica
        or StepKind.EndAtTarget or StepKind.ChangePointAtTarget or StepKind.DeleteBranch
        || IsForward(kind);

    private static string WhyNot(StepKind kind) => kind switch
    {
        StepKind.RemoveTest => "it is removing the test already",
        StepKind.EndMaintenance => "the VM is given back already",
        StepKind.StartAtTarget or StepKind.HandOver => "the VM is being started at the target",
        StepKind.CommitAtTarget => "a commit that has begun goes on to its end",
        StepKind.StopSource or StepKind.RetireSource or StepKind.RemoveReplica => "an end of protection that has begun goes on to its end",
        StepKind.EndAtTarget or StepKind.AcceptAtSource or StepKind.SettleTransfer => "the VM is on its way back to its source",
        _ => "the step goes on to its end",
    };

    private static StepState? StateOf(IReadOnlyList<FlowStep> steps, StepKind kind) =>
        IndexOf(steps, kind) is >= 0 and var index ? steps[index].State : null;

    private static int IndexOf(IReadOnlyList<FlowStep> steps, StepKind kind)
    {
        for (int index = 0; index < steps.Count; index++)
        {
            if (steps[index].Kind == kind)
            {
                return index;
            }
        }

        return -1;
    }
}
