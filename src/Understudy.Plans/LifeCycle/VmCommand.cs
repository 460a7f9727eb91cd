namespace Understudy.Plans;

/// <summary>What a user can ask of a VM's protection.</summary>
public enum VmCommand
{
    Protect,
    Unprotect,
    Set,
    Pause,
    Resume,
    Resync,
    Mark,
    Test,
    Promote,
    PlannedFailover,
    UnplannedFailover,
    ChangePoint,
    Cancel,
    Commit,
    Export,
    Mount,
    Attach,
    Unmount,
    Detach,
    DeleteBranch,

    /// <summary>The VM's part in the maintenance of its host.</summary>
    Maintain,
}
