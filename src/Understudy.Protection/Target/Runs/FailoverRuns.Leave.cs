using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// Taking the VM off its overlay, before the commit (FO-3): to another point, or back to the source. What it wrote is kept
/// as a branch. Both are one way with two ends: the guest is ended, the overlay is kept, then the next one is started or a
/// line for the source is minted and offered.
/// </summary>
internal sealed partial class FailoverRuns
{
    /// <summary>Runs the VM from another point. Refuses without having changed anything; until the guest is ended a failed
    /// attempt is undone and the guest runs on. Asked for the point it is on already, it says what stands.</summary>
    public async ValueTask<FailoverStarted> ChangePointAsync(ChangePointOrder order, CancellationToken cancellationToken)
    {
        RequireNotCommitting();
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        FailoverRecord failover = await RequireChangeableAsync(cancellationToken);
        FailoverRequest request = RequestOf(failover, order);
        if (failover.Leave is { } leave ? leave.Next is { } coming && IsAsAsked(coming, request) : IsAsAsked(failover, request))
        {
            await AdvanceAsync(cancellationToken);
            return Describe(RequireRunning(), []);
        }

        RequireNotLeaving(failover);
        context.Branches.RequireRoom();
        PointContents contents = await TestRuns.GetPointAsync(context.Slot.Replica, order.Point, cancellationToken);
        FailoverRecord next = Plan(request, contents) with { StartedAt = failover.StartedAt, IsMove = true };
        RequireAllowed(TakingMessage(next));
        TransformedDomain domain = await TransformAsync(next, contents, cancellationToken); // Refused now, not after the guest has ended.
        await RequireFreeNameAsync(next, cancellationToken);
        FailoverRecord leaving = failover with
        {
            Step = FailoverStep.Replacing,
            Leave = new FailoverLeave(failover.Step, order.BranchDays, next, Back: null),
        };
        await SaveAsync(leaving, cancellationToken);
        try
        {
            await MakeDisksAsync(next, cancellationToken);
            await SaveAsync(leaving with { Step = FailoverStep.Stopping }, cancellationToken);
        }
        catch
        {
            await TryUndoAsync($"the failed change to point {order.Point}");
            throw;
        }

        await AdvanceAsync(cancellationToken);
        return Describe(RequireRunning(), domain.Notes, KeptOf(failover.Id));
    }

    /// <summary>The run as it is, with what the order names instead.</summary>
    private static FailoverRequest RequestOf(FailoverRecord failover, ChangePointOrder order) => new(
        order.Point,
        order.VmName ?? failover.VmName,
        order.Cards is null ? failover.Cards : [.. failover.Cards.Where(card => !order.Cards.Any(chosen => CardPlan.AreSame(chosen, card))), .. order.Cards])
    {
        Transfer = failover.Transfer,
        Size = new VmSize(
            order.Cpus is { } cpus ? (cpus == 0 ? null : cpus) : failover.Size.Cpus,
            order.MemoryBytes is { } memory ? (memory == 0 ? null : memory) : failover.Size.MemoryBytes),
        BranchDays = order.BranchDays,
        Label = order.Label,
    };

    /// <summary>The same point with another choice is a change like any other: the guest boots anew, what it wrote is kept.</summary>
    private static bool IsAsAsked(FailoverRecord failover, FailoverRequest request) =>
        failover.Point == request.Point && failover.VmName == request.VmName && failover.Size == request.Size
        && failover.Cards.Count == request.Cards.Count && request.Cards.All(failover.Cards.Contains);

    /// <summary>Ends the VM here and offers it back. Asked again for the same transfer, it answers as at first.</summary>
    public async ValueTask<FailoverCancelled> CancelAsync(CancelOrder order, CancellationToken cancellationToken)
    {
        RequireNotCommitting();
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Current is null && FindCancelled(order.Transfer) is { } cancelled)
        {
            return cancelled;
        }

        FailoverRecord failover = await RequireChangeableAsync(cancellationToken);
        if (failover.Leave?.Back?.Transfer != order.Transfer)
        {
            RequireNotLeaving(failover);
            RequireNew(order.Transfer);
            Replica replica = context.Slot.Replica;
            GiveBack back = new(order.Transfer, order.To, NextLine(), replica.Points[^1].Id);
            RequireAllowed(new OwnershipMessage.Offer(order.Transfer, back.To, back.Parent, back.Line));
            await SaveAsync(
                failover with { Step = FailoverStep.Stopping, Leave = new FailoverLeave(failover.Step, order.BranchDays, Next: null, back) },
                cancellationToken);
        }

        GiveBack given = Current!.Leave!.Back!; // Not null: saved above, or found.
        await AdvanceAsync(cancellationToken);
        RequireOffered(given);
        return new FailoverCancelled(given.Line, given.Parent, KeptOf(failover.Id));
    }

    /// <summary>The failover, with what had not taken the token undone and what had not ended taking it gone on with.</summary>
    private async ValueTask<FailoverRecord> RequireChangeableAsync(CancellationToken cancellationToken)
    {
        await UndoHalfMadeAsync(cancellationToken);
        if (Current is { } known && await TryStepAsideAsync(known, cancellationToken))
        {
            return await RequireChangeableAsync(cancellationToken);
        }

        if (Current is { Step: FailoverStep.TakingOver or FailoverStep.Promoting } taking)
        {
            await RunStepAsync(taking, cancellationToken);
            await SaveAsync(FailoverSteps.After(taking)!, cancellationToken); // Not null: these steps lead to the next.
            return await RequireChangeableAsync(cancellationToken);
        }

        return Current switch
        {
            null => throw new RefusedException(RefusalCode.NotFailedOver, $"{context.Vm} has not been failed over to this host.", "Fail it over first."),
            { Step: >= FailoverStep.Applying } committed => throw Committed(committed),
            var failover => failover,
        };
    }

    /// <summary>A commit may hold the gate for hours: whoever would be refused after it is refused before it.</summary>
    private void RequireNotCommitting()
    {
        if (Current is { } committing && FailoverSteps.IsCommitting(committing.Step))
        {
            throw Committed(committing);
        }
    }

    private RefusedException Committed(FailoverRecord committed) => new(
        RefusalCode.AlreadyCommitted,
        $"The failover of {context.Vm} to point {committed.Point} {(committed.Step == FailoverStep.Committed ? "has been" : "is being")} committed.",
        "It is final. The way home is reverse replication and failback.");

    /// <exception cref="RefusedException">Somebody has claimed the VM at its source while it was being given back.</exception>
    private void RequireOffered(GiveBack given)
    {
        if (Token.Record.Line.IsNewerThan(given.Line))
        {
            throw new RefusedException(
                RefusalCode.NotOwner, $"{context.Vm} was claimed at its source meanwhile, by line {Token.Record.Line}.", "Look at both sides: 'understudy vm show'.");
        }
    }

    /// <exception cref="RefusedException">Another way off the overlay has begun, and only goes forward.</exception>
    private void RequireNotLeaving(FailoverRecord failover)
    {
        if (failover.Leave is { } leave)
        {
            string where = leave.Next is { } next ? $"is being moved to point {next.Point}" : "is being given back to its source";
            throw new RefusedException(RefusalCode.Busy, $"{context.Vm} {where}.", "Wait for that to end; it is tried again by itself.");
        }
    }

    /// <summary>The guard closes first: nobody may start it again on an overlay that is about to be a branch.</summary>
    private async ValueTask StopVmAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _guestGate.EnterAsync(cancellationToken);
        await Token.TakeAsync(
            new OwnershipMessage.Close(
                failover.Leave?.Next is { } next ? $"it is being moved to point {next.Point}" : "it is being given back to its source",
                context.Services.Time.GetUtcNow()),
            cancellationToken);
        await Hypervisor.DestroyAsync(context.Spec.Vm, cancellationToken);
        await Hypervisor.UndefineAsync(context.Spec.Vm, cancellationToken);
    }

    /// <summary>What the guest wrote becomes a branch; a guest that had never been started wrote nothing.</summary>
    private async ValueTask KeepAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        FailoverLeave leave = failover.Leave!; // The steps of leaving have one.
        if (leave.From >= FailoverStep.Starting)
        {
            DateTimeOffset now = context.Services.Time.GetUtcNow();
            await context.Branches.KeepAsync(
                new BranchRecord(
                    new BranchId(failover.Id),
                    leave.Back is null ? BranchKind.ChangedPoint : BranchKind.CancelledFailover,
                    failover.Point,
                    failover.Line,
                    OverlaysOf(failover),
                    now,
                    now.AddDays(leave.BranchDays),
                    Bytes: 0,
                    failover.Label,
                    leave.Back?.Transfer,
                    BranchStep.Kept),
                cancellationToken);
            await EndServingAsync(failover, cancellationToken);
        }
        else
        {
            await RemoveDisksAsync(failover, cancellationToken);
        }

        if (leave.Next is { } next && next.VmName != failover.VmName)
        {
            await RemoveLogsAsync(failover, cancellationToken); // Its logs go on under the new name.
        }
    }

    /// <summary>
    /// The offer before the line: until the replica says the new line, a source that asks hears of the old one, and from then
    /// on of the offer with it; it never meets a line it could only take for somebody else's.
    /// </summary>
    private async ValueTask GiveBackAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        GiveBack back = failover.Leave!.Back!; // The step is that of a cancel.
        if (back.Transfer is { } transfer)
        {
            bool settled = Token.Record is { State: OwnershipState.Elsewhere } && Token.Record.Line == back.Line;
            if (!settled) // The source may have taken it before this step could be noted as done, and it is begun twice.
            {
                await Token.TakeAsync(new OwnershipMessage.Offer(transfer, back.To, back.Parent, back.Line), cancellationToken);
            }

            await context.Slot.Replica.MintLineAsync(back.Line, back.Parent, $"cancelled failover {transfer}", cancellationToken);
        }
        else
        {
            await LearnAsync(back.Line, cancellationToken);
            await AdoptAsync(cancellationToken);
        }

        await Token.SetDisksAsync(context.Spec.TargetName, [.. failover.Disks.Select(disk => disk.Base)], cancellationToken);
        await RemoveLogsAsync(failover, cancellationToken);
    }

    private async ValueTask RemoveLogsAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        string folder = context.Places.LogFolder(failover.VmName);
        foreach (string file in await context.Services.Images.ListAsync(folder, cancellationToken))
        {
            await context.Services.Images.DeleteAsync(file, cancellationToken);
        }

        await context.Services.Images.DeleteFolderIfEmptyAsync(folder, cancellationToken);
    }

    private BranchId? KeptOf(Guid run) => context.Branches.Current.FirstOrDefault(status => status.Branch.Id.Value == run)?.Branch.Id;

    /// <summary>A hand-over's number is settled once: an order that is repeated when the VM has been failed over again is not for this failover.</summary>
    private void RequireNew(TransferId transfer)
    {
        if (context.Branches.Current.Any(status => status.Branch.EndedBy == transfer))
        {
            throw new RefusedException(
                RefusalCode.TransferOutdated, $"That failover of {context.Vm} was cancelled; the VM has been failed over again since.", "Cancel this one anew: `understudy vm cancel`.");
        }
    }

    private FailoverCancelled? FindCancelled(TransferId transfer)
    {
        OwnershipRecord record = Token.Record;
        BranchRecord? kept = context.Branches.Current.FirstOrDefault(status => status.Branch.EndedBy == transfer)?.Branch;
        bool isOffered = record.State is OwnershipState.Offered offered && offered.Transfer == transfer;
        return (isOffered || kept is not null) && record.Parent is { } parent ? new FailoverCancelled(record.Line, parent, kept?.Id) : null;
    }
}
