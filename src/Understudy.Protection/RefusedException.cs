using Understudy.Blocks;

namespace Understudy.Protection;

/// <summary>Why an order was not begun. The code is what a program switches on; the words are for people.</summary>
public enum RefusalCode
{
    NetworkUnmapped,
    NameTaken,
    NameUnlawful,
    NoSuchPoint,
    NoSuchReplica,
    NoSuchRun,
    NoSuchBranch,

    /// <summary>The protection ends, or has ended, while the order is given.</summary>
    NotProtected,

    /// <summary>The host has no VM of that name.</summary>
    NoSuchVm,

    /// <summary>The order needs the VM running.</summary>
    VmOff,

    /// <summary>The host lacks something that the order needs: a kernel module, a program.</summary>
    HostLacks,
    NoSpace,
    AlreadyFailedOver,
    NotFailedOver,
    NotCommitted,

    /// <summary>The commit has begun: the failover is final.</summary>
    AlreadyCommitted,

    /// <summary>What ran and lost is kept, and its end was not agreed to.</summary>
    BranchesKept,
    Busy,
    Exists,
    Definition,

    /// <summary>This side does not own the VM: a newer line does.</summary>
    NotOwner,

    /// <summary>The VM is on its way to the other side: only that side may accept or refuse it.</summary>
    InTransit,

    /// <summary>The transfer was refused here before, for good.</summary>
    TransferRefused,

    /// <summary>The transfer was accepted here before: it cannot be refused any more.</summary>
    TransferAccepted,

    /// <summary>The transfer or line is older than what this side knows.</summary>
    TransferOutdated,

    /// <summary>The order needs the VM fenced first.</summary>
    NotFenced,

    /// <summary>Somebody has paused replication.</summary>
    Paused,

    /// <summary>No new point before the disks are whole at the target.</summary>
    Copying,
    VmIsOff,
    VmRuns,

    /// <summary>The VM is off, and part of it is in a saved memory.</summary>
    SavedState,
}

/// <summary>An expected "no": nothing was changed, the message says what is in the way and the remedy what to do.</summary>
public sealed class RefusedException(RefusalCode code, string message, string remedy)
    : UnderstudyException(FaultClass.NeedsOperator, message, remedy)
{
    public RefusalCode Code { get; } = code;
}
