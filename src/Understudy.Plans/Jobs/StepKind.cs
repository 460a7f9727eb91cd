namespace Understudy.Plans;

/// <summary>What one step of a job does; stored with the job, so members are never renamed.</summary>
public enum StepKind
{
    // --- protecting ---
    CheckBothSides,
    CreateReplica,
    StartSource,
    FirstCopy,
    StopSource,
    RemoveReplica,

    /// <summary>The VM stays at the target: the old source is ended, stays blocked and is listed as a branch.</summary>
    RetireSource,
    SettingsAtSource,
    DisksAtSource,
    SettingsAtTarget,
    PauseSource,
    ResumeSource,
    ResyncSource,
    MarkPoint,

    // --- testing ---
    StartTest,
    AwaitTestCompletion,
    RemoveTest,

    // --- planned failover ---
    CheckFailover,

    /// <summary>While the guest still runs, so that little is left to send when it is off.</summary>
    RunLastCycle,
    FenceSource,
    ShutDownGuest,
    SendLastChange,

    /// <summary>From here on the VM is in transit: the target takes it, or refuses it for good.</summary>
    OfferVm,
    StartAtTarget,
    HandOver,

    /// <summary>Undoes a failover that never was offered.</summary>
    OpenFence,

    /// <summary>Undoes an offer, by the target's durable refusal.</summary>
    TakeBack,

    // --- unplanned failover ---
    AssessSource,

    // As in a planned failover, but going on without when it cannot be done.
    TryFenceSource,
    TryShutDownGuest,
    TryLastChange,

    // --- after a failover ---
    ChangePointAtTarget,

    /// <summary>The VM is ended at the target and offered back on a new line.</summary>
    EndAtTarget,
    AcceptAtSource,
    SettleTransfer,
    CommitAtTarget,

    // --- points and branches ---
    ExportPoint,
    MountPoint,
    AttachPoint,
    UnmountPoint,
    DetachPoint,
    DeleteBranch,

    // --- maintenance of the source's host ---
    FenceForMaintenance,
    AwaitMaintenanceEnd,

    /// <summary>Opens the fence, and starts the VM when it ran before.</summary>
    EndMaintenance,
}
