using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>How far a failover has come. Each step is durable before its first effect, so after a crash the step named
/// here may have happened in part and the one after it has not begun. docs/protocols/ownership.md has the token,
/// docs/protocols/commit.md the letters.</summary>
public enum FailoverStep
{
    /// <summary>Overlays, daemon and definition are being made; the old line still owns the VM, so all can be undone.</summary>
    Preparing,

    /// <summary>The token is being taken and the new line minted: from here on only forward.</summary>
    TakingOver,

    /// <summary>The test that becomes this failover is being ended; what it wrote is kept.</summary>
    Promoting,

    /// <summary>The VM is being started.</summary>
    Starting,

    /// <summary>Commit pending: the VM runs on overlay over view.</summary>
    Running,

    /// <summary>Another point's disks are being made while the VM runs on; all of it can be undone.</summary>
    Replacing,

    /// <summary>The VM is being ended here.</summary>
    Stopping,

    /// <summary>What it wrote is being kept as a branch.</summary>
    Keeping,

    /// <summary>A line for the source is minted and the token is offered to it.</summary>
    GivingBack,

    /// <summary>(a) The journal up to the point goes into the base.</summary>
    Applying,

    /// <summary>What the dropped records touched is being noted, then they are dropped.</summary>
    Dropping,

    /// <summary>(b) The base is verified and from now on only read.</summary>
    Releasing,

    /// <summary>(c) Each disk moves onto an overlay over the base itself.</summary>
    Copying,

    /// <summary>(d) Views and daemons of this replica end; waits until no pin needs the base.</summary>
    EndingViews,

    /// <summary>(e) The overlay is committed into the base.</summary>
    Merging,

    /// <summary>(f) The overlay's bitmap becomes a checkpoint of libvirt; what is left of the replica goes.</summary>
    Tracking,

    /// <summary>An ordinary VM on one ordinary image a disk.</summary>
    Committed,
}

/// <summary>What an agent does with a step that it finds, or that an order has left half done.</summary>
internal enum StepCourse
{
    /// <summary>Nothing irrevocable has happened: it is undone, whoever ordered it asks again.</summary>
    Undone,

    /// <summary>It goes on by itself.</summary>
    Forward,

    /// <summary>Somebody has to give an order.</summary>
    Rests,
}

/// <param name="GuestOnViews">The VM's disks hang on views: its daemon is looked after, and the guest with it.</param>
/// <param name="Base">How the base images are opened in this step.</param>
internal readonly record struct StepRule(StepCourse Course, bool GuestOnViews, BaseAccess Base);

/// <summary>The table of steps, as data and as a pure function; everything else about them follows from it.</summary>
internal static class FailoverSteps
{
    public static StepRule Rule(FailoverStep step) => step switch
    {
        FailoverStep.Preparing => new(StepCourse.Undone, false, BaseAccess.ReadWrite),
        FailoverStep.TakingOver => new(StepCourse.Forward, false, BaseAccess.ReadWrite),
        FailoverStep.Promoting => new(StepCourse.Forward, false, BaseAccess.ReadWrite),
        FailoverStep.Starting => new(StepCourse.Forward, true, BaseAccess.ReadWrite),
        FailoverStep.Running => new(StepCourse.Rests, true, BaseAccess.ReadWrite),
        FailoverStep.Replacing => new(StepCourse.Undone, true, BaseAccess.ReadWrite),
        FailoverStep.Stopping => new(StepCourse.Forward, false, BaseAccess.ReadWrite),
        FailoverStep.Keeping => new(StepCourse.Forward, false, BaseAccess.ReadWrite),
        FailoverStep.GivingBack => new(StepCourse.Forward, false, BaseAccess.ReadWrite),
        FailoverStep.Applying => new(StepCourse.Forward, true, BaseAccess.ReadWrite),
        FailoverStep.Dropping => new(StepCourse.Forward, true, BaseAccess.ReadWrite),
        FailoverStep.Releasing => new(StepCourse.Forward, true, BaseAccess.ReadWrite),
        FailoverStep.Copying => new(StepCourse.Forward, true, BaseAccess.ReadOnly),
        FailoverStep.EndingViews => new(StepCourse.Forward, false, BaseAccess.ReadOnly),
        FailoverStep.Merging => new(StepCourse.Forward, false, BaseAccess.None),
        FailoverStep.Tracking => new(StepCourse.Forward, false, BaseAccess.None),
        FailoverStep.Committed => new(StepCourse.Rests, false, BaseAccess.None),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    /// <summary>What ran can still be kept whole, as a branch over its point: nothing has been dropped or moved.</summary>
    public static bool CanBeUndone(FailoverStep step) => step < FailoverStep.Dropping;

    /// <summary>The VM is defined here and may be started and ended by anybody: no step of its own is at it.</summary>
    public static bool HasGuest(FailoverStep step) => step is FailoverStep.Running or FailoverStep.Replacing or >= FailoverStep.Applying;

    public static bool IsCommitting(FailoverStep step) => step is >= FailoverStep.Applying and < FailoverStep.Committed;

    /// <summary>What stands once this step is done; null when nothing of the failover is left.</summary>
    public static FailoverRecord? After(FailoverRecord failover) => failover.Step switch
    {
        FailoverStep.TakingOver when failover.FromTest is null => failover with { Step = FailoverStep.Starting },
        FailoverStep.Replacing => failover with { Step = FailoverStep.Stopping },
        FailoverStep.Keeping when failover.Leave?.Next is { } next => next with { Step = FailoverStep.TakingOver },
        FailoverStep.GivingBack => null,
        FailoverStep.Running or FailoverStep.Committed => throw new System.Diagnostics.UnreachableException(),
        _ => failover with { Step = failover.Step + 1 },
    };
}
