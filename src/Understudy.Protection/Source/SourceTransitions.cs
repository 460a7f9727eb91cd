using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Source;

/// <summary>
/// Every change of the durable state, as pure functions. None of them does anything: the engine makes the result durable
/// first and acts on it afterwards, so a crash between the two repeats the act and never loses the reason for it.
/// </summary>
public static class SourceTransitions
{
    public static SourceState New(SourceSpec spec, IReadOnlyList<DiskNow> disks) => new()
    {
        Spec = spec,
        Disks = [.. disks.Select((disk, i) => new SourceDisk(new DiskId((ushort)i), disk.TargetDevice, disk.SizeBytes))],
        NextDisk = disks.Count,
        SequenceKnown = false,
        Copy = new CopyState(CopyKind.First),
    };

    /// <summary>The spool holds a whole cycle.</summary>
    public static SourceState Cut(SourceState state, PendingCycle cycle)
    {
        Invariant.Check(state.Pending is null, "a cut was made while a cycle is undelivered");
        Invariant.Check(state.SequenceKnown && cycle.FirstSequence == state.AcknowledgedSequence + 1, "a cycle does not follow the target's last record");
        return state with { Pending = cycle, UsedSequence = cycle.LastSequence };
    }

    /// <summary>The target holds all of the pending cycle durably. From here on its checkpoint is the one to count from.</summary>
    public static SourceState Acknowledge(SourceState state)
    {
        PendingCycle cycle = state.Pending ?? throw new InvariantException("an acknowledgement without a pending cycle");
        return state with
        {
            Pending = null,
            AcknowledgedSequence = cycle.LastSequence,
            UsedSequence = cycle.LastSequence,
            Checkpoint = cycle.Checkpoint,
            StillBehind = cycle.StillBehind,
            Disks = cycle.Disks,
            Copy = cycle.Disks.All(disk => disk.IsWhole || disk.Joining) ? null : state.Copy is { } copy ? copy with { Compared = copy.Compared + cycle.Compared } : null,
            GeometrySent = state.GeometrySent || cycle.CarriesGeometry,
            DefinitionHash = cycle.DefinitionHash ?? state.DefinitionHash,
            LastPoint = cycle.Listed ? new LastPoint(new RecoveryPointId(state.Spec.Line, cycle.LastSequence), cycle.CutAt, cycle.Purpose) : state.LastPoint,
        };
    }

    /// <summary>
    /// The pending cycle cannot be sent to its end. Its checkpoint will be deleted (libvirt merges it into the older one),
    /// so the next cycle covers both. Some of it may be at the target: the sequence must be asked for, the geometry it
    /// carried is sent again, and a slice it held is no virgin ground any more.
    /// </summary>
    public static SourceState GiveUp(SourceState state)
    {
        PendingCycle cycle = state.Pending ?? throw new InvariantException("nothing to give up");
        return state with
        {
            Pending = null,
            SequenceKnown = false,
            GeometrySent = state.GeometrySent && !cycle.CarriesGeometry,
            Disks = [.. state.Disks.Zip(cycle.Disks, (disk, sent) => disk.TouchedTo(sent.CopiedBytes))],
        };
    }

    /// <summary>
    /// What changed is no longer known: everything is compared again from the start, because the target holds an older
    /// state. The points it lists stay; the next one comes at the end. Definition and geometry go again too: they cost
    /// nothing.
    /// </summary>
    /// <param name="targetIsKnown">False when the target does not hold what it had acknowledged.</param>
    public static SourceState Resynchronise(SourceState state, string reason, bool targetIsKnown)
    {
        SourceState clean = state.Pending is null ? state : GiveUp(state);
        return clean with
        {
            Checkpoint = null,
            StillBehind = null,
            Copy = new CopyState(state.LastPoint is null ? CopyKind.First : CopyKind.Resynchronisation, reason),
            Disks = [.. clean.Disks.Select(disk => disk.FromTheStart(targetIsKnown))],
            GeometrySent = clean.GeometrySent && targetIsKnown,
            DefinitionHash = null,
        };
    }

    /// <summary>
    /// The VM is owned here again, by a newer line that goes on from a point at the target. Where that is the last point this
    /// side had acknowledged, and nothing was acknowledged after it, the tracking since then stays valid: nobody but this
    /// side has written its disks. Otherwise the two are compared. What was sent after the point, the target has dropped.
    /// </summary>
    public static SourceState GoOnAs(SourceState state, LineId line, RecoveryPointId parent)
    {
        SourceState settled = state.Pending switch
        {
            null => state,
            { Listed: true } cycle when new RecoveryPointId(state.Spec.Line, cycle.LastSequence) == parent => Acknowledge(state), // Its answer was lost.
            _ => GiveUp(state),
        };
        bool continuous = settled.LastPoint?.Id == parent && settled.AcknowledgedSequence == parent.Sequence && settled.Copy is null;
        SourceState owned = settled with
        {
            Spec = settled.Spec with { Line = line },
            AcknowledgedSequence = parent.Sequence,
            UsedSequence = parent.Sequence,
            SequenceKnown = false,
        };
        return continuous
            ? owned
            : Resynchronise(owned, $"the target goes on from point {parent}, which is not the last that this side knows", targetIsKnown: false);
    }

    /// <summary>No more cuts until it is resumed; what was cut still travels.</summary>
    public static SourceState Pause(SourceState state, string by) => state with { PausedBy = by };

    public static SourceState Resume(SourceState state) => state with { PausedBy = null };

    /// <summary>The target began with content of its own: before the first slice nothing of it may be taken for zeros.</summary>
    public static SourceState SeedFound(SourceState state)
    {
        Invariant.Check(state is { HasNotBegun: true, Pending: null }, "a seed turned up in the middle of a copy");
        return state with { Disks = [.. state.Disks.Select(disk => disk with { VirginFromBytes = SourceDisk.Nowhere })] };
    }

    /// <summary>The target has said where it stands.</summary>
    public static SourceState SequenceLearnt(SourceState state, ulong flushedSequence) => state with
    {
        AcknowledgedSequence = flushedSequence,
        UsedSequence = flushedSequence,
        SequenceKnown = true,
    };
}
