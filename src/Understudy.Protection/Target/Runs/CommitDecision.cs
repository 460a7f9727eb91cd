using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Runs;

/// <summary>Where a disk of the failed-over VM is, read from its definition; never from memory.</summary>
public enum DiskPlace
{
    /// <summary>First overlay, over the view.</summary>
    OnOverlay,

    /// <summary>Second overlay, over the base.</summary>
    OnSecondOverlay,

    OnBase,

    /// <summary>On an image that is none of the three: somebody moved the disk.</summary>
    Elsewhere,

    /// <summary>The VM has no such disk.</summary>
    Missing,
}

/// <summary>What is to be done to a disk next.</summary>
public enum DiskMove
{
    /// <summary>Make an empty second overlay and start the copy onto it.</summary>
    StartCopy,

    StartMerge,

    /// <summary>A job of ours is under way.</summary>
    Wait,

    /// <summary>Our job has caught up. When the pivot fails, the job is ended and begun again; the guest runs on meanwhile.</summary>
    Pivot,

    /// <summary>A job that has no place in this step (left by another program, or by us before a crash).</summary>
    WaitForForeignJob,

    /// <summary>The VM is off: nothing can be moved until it runs again.</summary>
    WaitForStart,

    /// <summary>The disk is not where this step can find it: a person must look.</summary>
    Stop,

    Done,
}

/// <summary>
/// The decision of commit steps (c) and (e) for one disk: a pure function of what the hypervisor says now, so that it
/// does not matter who died since, or when. The test walks every combination.
/// </summary>
public static class CommitDecision
{
    /// <param name="live">Where the running VM has it; null when the VM is off.</param>
    /// <param name="inactive">Where the next start would find it.</param>
    public static DiskMove Copy(DiskPlace? live, DiskPlace inactive, BlockJobFacts? job) => live switch
    {
        // Off: both definitions are one. Only a disk that is past this step already needs nothing.
        null => inactive switch
        {
            DiskPlace.OnSecondOverlay or DiskPlace.OnBase => DiskMove.Done,
            DiskPlace.OnOverlay => DiskMove.WaitForStart,
            _ => DiskMove.Stop,
        },
        DiskPlace.OnOverlay => job switch
        {
            null => DiskMove.StartCopy,
            { Kind: BlockJobKind.Copy, Ready: true } => DiskMove.Pivot,
            { Kind: BlockJobKind.Copy } => DiskMove.Wait,
            _ => DiskMove.WaitForForeignJob,
        },
        DiskPlace.OnSecondOverlay or DiskPlace.OnBase => inactive == live
            ? DiskMove.Done
            : DiskMove.Wait, // The pivot has happened; libvirt is about to write the definition.
        _ => DiskMove.Stop,
    };

    /// <inheritdoc cref="Copy"/>
    public static DiskMove Merge(DiskPlace? live, DiskPlace inactive, BlockJobFacts? job) => live switch
    {
        null => inactive switch
        {
            DiskPlace.OnBase => DiskMove.Done,
            DiskPlace.OnSecondOverlay => DiskMove.WaitForStart,
            _ => DiskMove.Stop, // On the first overlay: its view has ended, so the VM could not have run there.
        },
        DiskPlace.OnSecondOverlay => job switch
        {
            null => DiskMove.StartMerge,
            { Kind: BlockJobKind.ActiveCommit, Ready: true } => DiskMove.Pivot,
            { Kind: BlockJobKind.ActiveCommit } => DiskMove.Wait,
            _ => DiskMove.WaitForForeignJob,
        },
        DiskPlace.OnBase => inactive == DiskPlace.OnBase ? DiskMove.Done : DiskMove.Wait,
        _ => DiskMove.Stop,
    };
}
