using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Target.Runs;

/// <summary>Words about hand-overs that start nothing: a refusal for good, and the news that the source has its VM back.</summary>
internal sealed partial class FailoverRuns
{
    /// <summary>The transfer is never accepted here any more; durable when this returns.</summary>
    /// <exception cref="RefusedException">It has been accepted.</exception>
    public async ValueTask RefuseAsync(TransferId transfer, CancellationToken cancellationToken)
    {
        if (Current is { } committing && FailoverSteps.IsCommitting(committing.Step))
        {
            await RefuseInsideAsync(transfer, cancellationToken); // A commit may hold the gate for hours, and beside it nothing is accepted.
            return;
        }

        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await UndoHalfMadeAsync(cancellationToken);
        await RefuseInsideAsync(transfer, cancellationToken);
    }

    private async ValueTask RefuseInsideAsync(TransferId transfer, CancellationToken cancellationToken)
    {
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
    /// that is newer, so what is owned here is owned here still. On a newer one, somebody has claimed the VM there: that is
    /// noted at once, whatever is under way here, and with it the guard closes; what stands here follows
    /// (<see cref="GiveWayAsync"/>, <see cref="KeepGuestAsync"/>). A replica that is nothing else takes the line before this returns.
    /// </summary>
    public async ValueTask HeardAsync(LineId line, CancellationToken cancellationToken)
    {
        OwnershipRecord record = Token.Record;
        if (line.IsNewerThan(record.Line))
        {
            Log.Deposed(context.Logger, context.Vm, line);
            await LearnAsync(line, cancellationToken);
        }
        else if (line == record.Line && record.State is OwnershipState.Offered)
        {
            await LearnAsync(line, cancellationToken);
        }
        else if (record.Line.IsNewerThan(line))
        {
            await Token.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
        }

        if (Current is null)
        {
            await GiveWayAsync(cancellationToken);
        }
    }

    /// <summary>After a boot: what somebody knows who would know of a newer line.</summary>
    /// <param name="newest">The newest line that is known there.</param>
    public async ValueTask RevalidateAsync(LineId newest, bool valid, CancellationToken cancellationToken)
    {
        if (newest.IsNewerThan(Token.Record.Line))
        {
            await HeardAsync(newest, cancellationToken);
        }
        else if (valid)
        {
            await Token.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
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
        if (record.State is OwnershipState.Here && record.Line.IsNewerThan(newest.Line))
        {
            return new CurrentLine(record.Line, record.Since); // Taken, and not begun in the replica (yet).
        }

        LineOffer? offer = record.State is OwnershipState.Offered offered && record.Line == newest.Line
            ? new LineOffer(offered.Transfer, offered.Parent)
            : null;
        return new CurrentLine(newest.Line, newest.MintedAt, offer);
    }

    private async ValueTask LearnAsync(LineId line, CancellationToken cancellationToken)
    {
        DateTimeOffset now = context.Services.Time.GetUtcNow();
        await Token.TakeAsync(new OwnershipMessage.Learn(line, now, now), cancellationToken);
    }
}
