using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <summary>What a person or the vault can ask of a source. All may be called from anywhere, and given again.</summary>
public sealed partial class SourceVm
{
    /// <summary>What a planned point is labelled whose guest did not shut down: its disks are as after a power cut.</summary>
    internal const string EndedByForce = "not shut down in order";

    /// <summary>Waits for cuts, in order; touched by the loop only.</summary>
    private readonly List<WantedPoint> _wanted = [];

    /// <summary>No more cuts until it is resumed; durable when this returns.</summary>
    public async ValueTask PauseAsync(string by, CancellationToken cancellationToken) => await OrderAsync(
        async loop =>
        {
            RefuseWanted(_ => true, Paused(by));
            await SaveAsync(SourceTransitions.Pause(_state, by), loop);
            return true;
        },
        interrupts: true,
        cancellationToken);

    public async ValueTask ResumeAsync(CancellationToken cancellationToken) => await OrderAsync(
        async loop =>
        {
            await SaveAsync(SourceTransitions.Resume(_state), loop);
            return true;
        },
        interrupts: false,
        cancellationToken);

    /// <summary>Compares all disks with the target's again; every listed point stays good.</summary>
    public async ValueTask ResynchroniseAsync(CancellationToken cancellationToken) => await OrderAsync(
        async loop =>
        {
            RequireOwned();
            await ResynchroniseAsync("it was ordered", loop);
            return true;
        },
        interrupts: true,
        cancellationToken);

    /// <summary>A point now, of the running VM; returns when the target has acknowledged it. The same order makes one point.</summary>
    public async ValueTask<SourcePoint> CycleAsync(Guid order, PointKind kind, string? label, CancellationToken cancellationToken)
    {
        CutPurpose purpose = new(kind, label, order);
        WantedPoint wanted = await OrderAsync(loop => AdmitCycleAsync(purpose, loop), interrupts: false, cancellationToken);
        return await WaitForAsync(wanted, cancellationToken);
    }

    /// <summary>
    /// What changed since the last point, from the disks of the fenced VM that is off; returns when the target has
    /// acknowledged it as a planned point. Given again it makes another, which costs little: nothing has changed.
    /// </summary>
    /// <param name="label">Kept with the point; null for what this side knows itself: a guest that did not shut down is labelled so.</param>
    public async ValueTask<SourcePoint> LastChangeAsync(string? label, CancellationToken cancellationToken)
    {
        WantedPoint wanted = await OrderAsync(loop => AdmitLastChangeAsync(label, loop), interrupts: false, cancellationToken);
        return await WaitForAsync(wanted, cancellationToken);
    }

    /// <summary>Ends what <see cref="LastChangeAsync"/> is doing: nobody has the disks open when this returns.</summary>
    public async ValueTask GiveUpLastChangeAsync(CancellationToken cancellationToken) => await OrderAsync(
        async loop =>
        {
            RefuseWanted(wanted => wanted.IsFinal, new RefusedException(
                RefusalCode.NotFenced, $"The last change of {Spec.VmName} was given up.", "Fence the VM and begin the planned failover again."));
            await _environment.Stopped.CloseStaleAsync(Spec.Vm, loop);
            return true;
        },
        interrupts: true,
        cancellationToken);

    /// <summary>Gives the VM away as it is at its planned point. Only a VM that is off, and has been since that point was cut.</summary>
    public async ValueTask<RecoveryPointId> OfferAsync(TransferId transfer, Guid to, CancellationToken cancellationToken) => await OrderAsync(
        async loop =>
        {
            if (Ownership.Record.State is OwnershipState.Offered known && known.Transfer == transfer)
            {
                return known.Parent;
            }

            RequireOwned();
            DateTimeOffset fencedAt = RequireFence().At;
            await RequireOffAsync(loop);
            if (_state.Pending is not null || _state.LastPoint is not { } last || last.Purpose.FencedAt != fencedAt || last.Sequence != _state.AcknowledgedSequence)
            {
                throw new RefusedException(
                    RefusalCode.NotFenced, $"The target does not hold the last change of {Spec.VmName} behind this fence.", "Send the last change first.");
            }

            await Ownership.TakeAsync(new OwnershipMessage.Offer(transfer, to, last.Id, Minted: null), loop);
            return last.Id;
        },
        interrupts: false,
        cancellationToken);

    /// <summary>The token has changed: what was being done may not be ours to do any more.</summary>
    public void OwnershipChanged()
    {
        Interrupt();
        _nudged.Beat();
    }

    private async ValueTask<WantedPoint> AdmitCycleAsync(CutPurpose purpose, CancellationToken cancellationToken)
    {
        if (_state.LastPoint is { } last && last.Purpose.Order == purpose.Order)
        {
            return WantedPoint.Made(purpose, PointOf(last));
        }

        RequireOwned();
        if (_state.PausedBy is { } by)
        {
            throw Paused(by);
        }

        if (_state.Copy is { } copy)
        {
            throw new RefusedException(
                RefusalCode.Copying,
                $"{Spec.VmName} has no new point before {(copy.Kind == CopyKind.First ? "the first copy" : "the resynchronisation")} is complete.",
                "Wait for that; understudy vm show says how far it is.");
        }

        if (_state.Pending?.Purpose.Order != purpose.Order && await FindRunningVmAsync(cancellationToken) is null)
        {
            throw IsOff();
        }

        return Add(new WantedPoint(purpose));
    }

    private async ValueTask<WantedPoint> AdmitLastChangeAsync(string? label, CancellationToken cancellationToken)
    {
        if (Ownership.Record.State is OwnershipState.Offered && _state.LastPoint is { Purpose.FencedAt: not null } offered)
        {
            return WantedPoint.Made(offered.Purpose, PointOf(offered));
        }

        RequireOwned();
        Fence fence = RequireFence();
        VmFacts off = await RequireOffAsync(cancellationToken);
        return Add(new WantedPoint(new CutPurpose(PointKind.Planned, label ?? (off.EndedByForce ? EndedByForce : null), FencedAt: fence.At)));
    }

    private WantedPoint Add(WantedPoint wanted)
    {
        _wanted.Add(wanted);
        _nudged.Beat();
        return wanted;
    }

    private static async ValueTask<SourcePoint> WaitForAsync(WantedPoint wanted, CancellationToken cancellationToken)
    {
        using CancellationTokenRegistration registration = cancellationToken.Register(() => wanted.Done.TrySetCanceled(cancellationToken));
        return await wanted.Done.Task;
    }

    /// <summary>The first that is still wanted; null when the timetable's cuts are all.</summary>
    private WantedPoint? NextWanted()
    {
        _wanted.RemoveAll(wanted => wanted.Done.Task.IsCompleted); // Made, refused, or its caller has gone.
        return _wanted.Count > 0 ? _wanted[0] : null;
    }

    private WantedPoint? NextFinal()
    {
        NextWanted();
        return _wanted.Find(wanted => wanted.IsFinal);
    }

    private void AnswerWanted(PendingCycle made)
    {
        foreach (WantedPoint wanted in _wanted)
        {
            if (made.Listed && wanted.Purpose == made.Purpose && _state.LastPoint is { } point)
            {
                wanted.Done.TrySetResult(PointOf(point));
            }
        }
    }

    private void RefuseWanted(Predicate<WantedPoint> which, RefusedException reason)
    {
        foreach (WantedPoint wanted in _wanted)
        {
            if (which(wanted))
            {
                wanted.Done.TrySetException(reason);
            }
        }
    }

    private void RequireOwned()
    {
        if (Hold() == SourceHold.Away)
        {
            throw new RefusedException(
                Ownership.Record.State is OwnershipState.Offered ? RefusalCode.InTransit : RefusalCode.NotOwner,
                $"{Spec.VmName} is not owned by this side: line {Ownership.Record.Line}.",
                "Look at it with 'understudy vm show'.");
        }
    }

    private Fence RequireFence() => Ownership.Record.State is OwnershipState.Here { Fence: { } fence }
        ? fence
        : throw new RefusedException(RefusalCode.NotFenced, $"{Spec.VmName} is not fenced.", "Fence it first: otherwise anything may start it again.");

    private RefusedException IsOff() => new(
        RefusalCode.VmIsOff, $"{Spec.VmName} is off: there is nothing newer than its last point.", "Start it, or take the point when it runs.");

    private RefusedException Paused(string by) => new(
        RefusalCode.Paused, $"Replication of {Spec.VmName} was paused by {by}.", "Resume it first: understudy vm resume.");

    private static SourcePoint PointOf(LastPoint last) => new(last.Id, last.CutAt, last.Purpose.Kind, last.Purpose.Label);

    /// <summary>A point that somebody waits for.</summary>
    private sealed class WantedPoint(CutPurpose purpose)
    {
        public CutPurpose Purpose => purpose;

        public bool IsFinal => purpose.FencedAt is not null;

        public TaskCompletionSource<SourcePoint> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public static WantedPoint Made(CutPurpose purpose, SourcePoint point)
        {
            WantedPoint wanted = new(purpose);
            wanted.Done.SetResult(point);
            return wanted;
        }
    }
}
