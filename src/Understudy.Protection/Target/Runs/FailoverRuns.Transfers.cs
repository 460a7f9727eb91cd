using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Target.Runs;

/// <summary>Words about hand-overs that start nothing: a refusal for good, and the news that the source has its VM back.</summary>
internal sealed partial class FailoverRuns
{
    /// <summary>The transfer is never accepted here any more; durable when this returns.</summary>
    /// <exception cref="RefusedException">It has been accepted.</exception>
    public async ValueTask RefuseAsync(TransferId transfer, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await UndoHalfMadeAsync(cancellationToken);
        if (Current?.Transfer == transfer)
        {
            throw new RefusedException(
                Protection.RefusalCode.TransferAccepted, $"Transfer {transfer} of {context.Vm} was accepted here.", "The VM is owned here; go on from that.");
        }

        await Token.TakeAsync(new OwnershipMessage.Refuse(transfer), cancellationToken);
    }

    /// <summary>The source has accepted. One that was settled before, or overtaken, is fine.</summary>
    public async ValueTask SettleAsync(TransferId transfer, CancellationToken cancellationToken)
    {
        if (Token.Record is { State: OwnershipState.Offered offered, Line: var line } && offered.Transfer == transfer)
        {
            await Token.TakeAsync(new OwnershipMessage.HandedOver(transfer, line), cancellationToken);
        }
    }

    /// <summary>
    /// A source says hello on this line. On the one that is offered to it, it has accepted. On an older one, it knows of none
    /// that is newer, so what is owned here is owned here still. On a newer one, somebody has claimed the VM there.
    /// </summary>
    public async ValueTask HeardAsync(LineId line, CancellationToken cancellationToken)
    {
        OwnershipRecord record = Token.Record;
        DateTimeOffset now = context.Services.Time.GetUtcNow();
        if (line.IsNewerThan(record.Line) || (record.State is OwnershipState.Elsewhere && line == record.Line && IsBehind(line)))
        {
            using AsyncGate.Pass inside = await EnterBeforeHousekeepingAsync(cancellationToken);
            await YieldToAsync(line, now, cancellationToken);
        }
        else if (line == record.Line && record.State is OwnershipState.Offered)
        {
            await Token.TakeAsync(new OwnershipMessage.Learn(line, now, now), cancellationToken);
        }
        else if (record.Line.IsNewerThan(line))
        {
            await Token.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
        }
    }

    private bool IsBehind(LineId line) => context.Slot.TryGet() is { } replica && line.IsNewerThan(replica.Line);

    /// <summary>
    /// A human's word at the source outranks what stands here. A replica goes on under that line from its newest point. A VM
    /// that runs here is ended, and what it wrote kept as a branch; where the commit has made the base its own disk it can
    /// only be paused.
    /// </summary>
    private async ValueTask YieldToAsync(LineId line, DateTimeOffset now, CancellationToken cancellationToken)
    {
        Log.Deposed(context.Logger, context.Vm, line);
        await UndoHalfMadeAsync(cancellationToken);
        if (Current is { Leave: null } failover && FailoverSteps.IsBeforeCommit(failover.Step))
        {
            GiveBack back = new(Transfer: null, context.Spec.Source, line, context.Slot.Replica.Points[^1].Id);
            await SaveAsync(failover with { Step = FailoverStep.Stopping, Leave = new FailoverLeave(failover.Step, failover.BranchDays, Next: null, back) }, cancellationToken);
        }
        else if (Current is not null)
        {
            await Token.TakeAsync(new OwnershipMessage.Learn(line, now, now), cancellationToken);
            if (await Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken) == VmRunState.Running)
            {
                await Hypervisor.SuspendAsync(context.Spec.Vm, cancellationToken);
            }
        }
        else
        {
            await AdoptAsync(line, cancellationToken);
        }
    }

    /// <summary>The replica takes records of a line that was minted elsewhere.</summary>
    private async ValueTask AdoptAsync(LineId line, CancellationToken cancellationToken)
    {
        DateTimeOffset now = context.Services.Time.GetUtcNow();
        await Token.TakeAsync(new OwnershipMessage.Learn(line, now, now), cancellationToken);
        if (IsBehind(line) && context.Slot.Replica.Points is [.., var newest])
        {
            await context.Slot.Replica.MintLineAsync(line, newest.Id, "claim at the source", cancellationToken);
        }
    }

    /// <summary>What a source on another line has to know of the current one.</summary>
    public CurrentLine DescribeLine()
    {
        OwnershipRecord record = Token.Record;
        if (context.Slot.Shown is not { } replica)
        {
            return new CurrentLine(record.Line, record.Since); // The replica is the VM's own disk now.
        }

        Journal.LineHistory newest = replica.Status.Lines[^1];
        LineOffer? offer = record.State is OwnershipState.Offered offered && record.Line == newest.Line
            ? new LineOffer(offered.Transfer, offered.Parent)
            : null;
        return new CurrentLine(newest.Line, newest.MintedAt, offer);
    }
}
