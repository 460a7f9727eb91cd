using System.Diagnostics;

namespace Understudy.Protection.Source;

/// <summary>What the hypervisor says of a checkpoint that the state names.</summary>
public enum CheckpointSight
{
    /// <summary>The state names none.</summary>
    None,
    Listed,
    Missing,

    /// <summary>The hypervisor cannot be asked (it is down, or the VM is gone).</summary>
    Unknown,
}

/// <summary>What the spool says of the pending cycle.</summary>
public enum SpoolSight
{
    /// <summary>Nothing is pending.</summary>
    None,
    Whole,
    Broken,
}

/// <summary>What to do with the state found after a start.</summary>
public enum RecoveryAction
{
    /// <summary>Cycles go on from the state's checkpoint.</summary>
    GoOn,

    /// <summary>The pending cycle is whole: send it, from wherever the target says it stands.</summary>
    Deliver,

    /// <summary>Forget the pending cycle and delete its checkpoint; the next cycle covers both.</summary>
    GiveUp,

    /// <summary>Changes since the last acknowledged cycle are no longer known.</summary>
    Resynchronise,
}

/// <summary>
/// What a start finds and what follows from it, for every crash point (docs/protocols/capture.md, section 5):
/// <code>
///   crash                                     found                                       action
///   before a cut, or idle                     no pending, old listed (or none yet)        GoOn
///   between cut and durable pending state     the same, and a stray new checkpoint        GoOn (strays are deleted before the next cut)
///   pending durable, up to acknowledged       pending, spool whole, new listed            Deliver
///   acknowledged durable, old not deleted     no pending, the new one is "old" now        GoOn (the really old one is a stray)
/// </code>
/// The rest is what others did to us while we were away: QEMU killed (checkpoints missing), a checkpoint deleted by hand,
/// spool files gone. A whole spool is sent even when the VM is no more: it holds the newest point there is.
/// </summary>
internal static class RecoveryRules
{
    public static RecoveryAction Decide(SpoolSight spool, CheckpointSight old, CheckpointSight cut) => (spool, old, cut) switch
    {
        (SpoolSight.None, CheckpointSight.Missing, _) => RecoveryAction.Resynchronise,
        (SpoolSight.None, _, _) => RecoveryAction.GoOn,

        // None: it was read from the disks of a VM that was off, where no checkpoint could begin.
        (SpoolSight.Whole, _, CheckpointSight.Listed or CheckpointSight.Unknown or CheckpointSight.None) => RecoveryAction.Deliver,

        // The new checkpoint is gone but the old one covers its changes: cutting again costs less than a resynchronisation.
        (SpoolSight.Whole, CheckpointSight.Listed or CheckpointSight.None, CheckpointSight.Missing) => RecoveryAction.GiveUp,

        // Both gone: what is in the spool is still a true point. The resynchronisation comes after it.
        (SpoolSight.Whole, CheckpointSight.Missing or CheckpointSight.Unknown, CheckpointSight.Missing) => RecoveryAction.Deliver,

        // The new checkpoint alone cannot help: what the spool held lies between the two.
        (SpoolSight.Broken, CheckpointSight.Missing, _) => RecoveryAction.Resynchronise,
        (SpoolSight.Broken, _, _) => RecoveryAction.GiveUp,
        _ => throw new UnreachableException(),
    };
}
