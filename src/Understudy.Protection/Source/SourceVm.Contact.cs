using System.Runtime.ExceptionServices;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Replication.Sending;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Source;

/// <summary>Who owns the VM, as the target says it: by taking this side's line, by refusing it with a newer one, or by
/// offering the VM back. A session stands also while nothing is sent, because the target ends it when a newer line begins.</summary>
public sealed partial class SourceVm
{
    /// <summary>While the VM is in transit or elsewhere the target is asked this often: an offer may wait there.</summary>
    private static readonly TimeSpan AwayContactEvery = TimeSpan.FromSeconds(5);

    private Task _watching = Task.CompletedTask;

    private OwnershipToken Ownership => _environment.Ownership;

    private SourceHold Hold() => Ownership.Record is not { State: OwnershipState.Here } owned ? SourceHold.Away
        : owned.Line == Spec.Line ? SourceHold.Owned
        : SourceHold.OwnedAnew;

    private bool IsConnected => _sender is { EndReason: null };

    private async ValueTask ContactAsync(CancellationToken cancellationToken)
    {
        if (_sender?.EndReason is { } reason)
        {
            await DisconnectAsync();
            ExceptionDispatchInfo.Throw(reason); // What the target said when it ended the session.
        }

        if (Hold() == SourceHold.Owned)
        {
            await ConnectAsync(cancellationToken);
            return;
        }

        RefuseWanted(_ => true, new RefusedException(
            RefusalCode.NotOwner, $"{Spec.VmName} is not owned by this side any more: line {Ownership.Record.Line}.", "Look at it with 'understudy vm show'."));
        if (!IsConnected)
        {
            await OpenSessionAsync(cancellationToken); // The target still holds this side's line: it has not accepted yet.
        }

        await WaitAsync(SourceWait.OwnerDecision, AwayContactEvery, cancellationToken);
    }

    private async ValueTask<ReplicationSender> OpenSessionAsync(CancellationToken cancellationToken)
    {
        await DisconnectAsync();
        Stream stream = await _environment.Connector.ConnectAsync(cancellationToken);
        SenderIdentity identity = new(Spec.Replica, Spec.Vm, Spec.Line, _environment.Software);
        ReplicationSender sender = await ReplicationSender.ConnectAsync(stream, identity, _environment.Time, cancellationToken);
        _sender = sender;
        _watching = WatchAsync(sender);
        NoteConnected();
        return sender;
    }

    /// <summary>Wakes the loop when the session ends.</summary>
    private async Task WatchAsync(ReplicationSender sender)
    {
        while (true)
        {
            long seen = sender.Changed.Beats;
            if (sender.EndReason is not null)
            {
                _nudged.Beat();
                return;
            }

            await sender.Changed.WaitPastAsync(seen, CancellationToken.None); // Disposing the sender ends it.
        }
    }

    private async ValueTask DisconnectAsync()
    {
        await DropSumsAsync();
        if (_sender is { } sender)
        {
            _sender = null;
            await sender.DisposeAsync();
            await _watching;
        }
    }

    /// <summary>The target has taken this side's line as the current one: no newer one is known there.</summary>
    private async ValueTask ValidateAsync(CancellationToken cancellationToken)
    {
        if (Ownership.Record.State is OwnershipState.Here here && here.Boot != Ownership.Boot)
        {
            await Ownership.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
        }
    }

    /// <summary>What is to be noted before the VM is owned here again: from then on its guest may run.</summary>
    internal Func<CancellationToken, ValueTask> BeforeHome { private get; set; } = static _ => ValueTask.CompletedTask;

    /// <summary>
    /// The target has refused this side's line and named another. A newer one deposes this side, or is offered to it: then
    /// it is taken. An older one means that the target has not heard of this side's yet.
    /// </summary>
    private async ValueTask LearnAsync(Refusal refusal, CancellationToken cancellationToken)
    {
        LineId line = refusal.CurrentLine;
        if (line == LineId.None)
        {
            return; // The replica is no more, and with it who would know.
        }

        DateTimeOffset now = _environment.Time.GetUtcNow();
        if (refusal.Offer is { } offer && line.IsNewerThan(Ownership.Record.Line))
        {
            Log.TakesOffer(_environment.Logger, Spec.Vm, line, offer.Parent);
            await BeforeHome(cancellationToken);
            await Ownership.TakeAsync(new OwnershipMessage.Accept(offer.Transfer, line, offer.Parent, Succeeds: null), cancellationToken);
        }
        else
        {
            await Ownership.TakeAsync(new OwnershipMessage.Learn(line, refusal.MintedAt ?? now, now), cancellationToken);
        }
    }

    /// <summary>The VM is owned here by a newer line: the state goes on as that one, before anything is cut or sent.</summary>
    private async ValueTask TakeOverAsync(CancellationToken cancellationToken)
    {
        OwnershipRecord owned = Ownership.Record;
        await DisconnectAsync();
        SourceState next = SourceTransitions.GoOnAs(_state, owned.Line, owned.Parent ?? new RecoveryPointId(Spec.Line, _state.AcknowledgedSequence));
        await SaveAsync(next, cancellationToken);
        _spool = new Spool(_environment.Store, next.Spec, _environment.Time);
        _strays = true;
        Log.GoesOnAs(_environment.Logger, Spec.Vm, owned.Line);
        if (next is { Checkpoint: null, Copy: { Reason: { } reason } })
        {
            RaiseResynchronisation(reason);
        }

        ShowState();
    }
}
