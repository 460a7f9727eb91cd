using Understudy.Blocks.Identity;
using Understudy.Blocks;
using Understudy.Journal.Records;

namespace Understudy.Protection.Source;

/// <summary>The state words of a source (MON-5).</summary>
public enum SourcePhase
{
    Preparing,
    FirstCopy,
    Protected,
    Resynchronising,
}

/// <summary>What the engine waits for; every wait has a name.</summary>
public enum SourceWait
{
    None,
    NextCycle,

    /// <summary>The first copy begins at a set time.</summary>
    StartTime,

    /// <summary>The target reads what it holds, to be compared with.</summary>
    Sums,
    Link,
    VmToRun,
    Hypervisor,
    CaptureSlot,
    SpaceAtTarget,
    SpaceHere,
    OwnerDecision,
    Target,

    /// <summary>Somebody has paused it.</summary>
    Resume,
}

/// <summary>Why replication does not go on, or did not at the last try.</summary>
public sealed record SourceFault(string What, string? Remedy, FaultClass Class, SourceWait Wait, DateTimeOffset At);

/// <param name="Id">Line and sequence of the checkpoint record.</param>
public sealed record SourcePoint(RecoveryPointId Id, DateTimeOffset CutAt, PointKind Kind, string? Label);

/// <summary>One immutable picture of a source, replaced at every change.</summary>
public sealed record SourceStatus
{
    public required SourcePhase Phase { get; init; }

    public SourceWait Wait { get; init; }

    /// <summary>When the wait ends by itself; null when only an event ends it.</summary>
    public DateTimeOffset? WaitUntil { get; init; }

    public bool Connected { get; init; }

    /// <summary>Of the copy under way, in bytes of the disks; 0 of 0 when there is none.</summary>
    public long CopyDoneBytes { get; init; }

    public long CopyTotalBytes { get; init; }

    /// <summary>How fast the copy moves over the disks; 0 while unknown.</summary>
    public long CopyBytesPerSecond { get; init; }

    public TimeSpan? CopyTimeLeft { get; init; }

    /// <summary>Why a resynchronisation runs.</summary>
    public string? CopyReason { get; init; }

    /// <summary>The newest point the target has acknowledged; RPO now = now − its cut.</summary>
    public SourcePoint? LastPoint { get; init; }

    /// <summary>In the spool and not yet acknowledged.</summary>
    public long BytesBehind { get; init; }

    /// <summary>What the link carried lately; 0 while unknown.</summary>
    public long LinkBytesPerSecond { get; init; }

    public DateTimeOffset? NextCutAt { get; init; }

    /// <summary>From the cut to the acknowledgement.</summary>
    public TimeSpan? LastCycleDuration { get; init; }

    /// <summary>All protected disks, with how much of each the target has.</summary>
    public IReadOnlyList<SourceDisk> Disks { get; init; } = [];

    /// <summary>Who has paused it; null while it goes on.</summary>
    public string? PausedBy { get; init; }

    public long CyclesMade { get; init; }

    /// <summary>Cuts that were due and not made because the one before was still undelivered.</summary>
    public long CyclesMissed { get; init; }

    public long CyclesFailed { get; init; }

    public long AverageCycleBytes { get; init; }

    public long LargestCycleBytes { get; init; }

    public bool TargetFull { get; init; }

    public SourceFault? Fault { get; init; }

    /// <summary>Set when changes come faster than the link carries them, with the numbers.</summary>
    public string? Warning { get; init; }

    /// <summary>Which disks cannot be replicated and are not, and why; null when all are that shall be.</summary>
    public string? DisksLeftOut { get; init; }
}

public enum SourceEventKind
{
    FirstPoint,
    ResynchronisationStarted,
    ResynchronisationDone,
    CycleGivenUp,
    LinkLost,
    LinkBack,
    TargetFull,

    /// <summary>The VM is owned by a newer line elsewhere, and no copy ran here.</summary>
    OwnedElsewhere,

    /// <summary>A disk came, went or grew and is taken up.</summary>
    DisksChanged,

    /// <summary>A disk came that cannot be replicated.</summary>
    DiskNotProtected,

    /// <summary>A disk that had come is whole at the target: points have it from now on.</summary>
    DiskJoined,

    /// <summary>The same, and a copy ran here until it was stopped: two may have run at once.</summary>
    Deposed,

    /// <summary>After a boot nobody said whether the VM is still owned here, and its policy ended the wait.</summary>
    StartedUnasked,

    /// <summary>A human has said that the VM runs here, whatever the other side does.</summary>
    Claimed,

    /// <summary>A copy runs here although the VM is owned elsewhere.</summary>
    StartedAnyway,

    /// <summary>The end of a protection went on in another process than was asked for it; what it kept is said so.</summary>
    KeptAtEnd,
}

/// <summary>Something a person may want to know later, said once when it happens.</summary>
public sealed record SourceEvent(SourceEventKind Kind, VmId Vm, string What, string? Remedy, DateTimeOffset At);

/// <summary>Where events go; must not block.</summary>
public interface ISourceEvents
{
    void Raise(SourceEvent happened);
}
