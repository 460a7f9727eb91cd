using Understudy.Blocks;
using Understudy.Replication.Sending;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    /// <summary>Sends what the target does not have of the pending cycle and returns when it is durable there.</summary>
    private async ValueTask DeliverAsync(CancellationToken cancellationToken)
    {
        if (await ConnectAsync(cancellationToken) is not { } sender || _state.Pending is not { } cycle)
        {
            return; // What the target said has changed the state.
        }

        long began = _environment.Time.GetTimestamp();
        ulong from = sender.AcknowledgedSequence + 1;
        ShowState();
        bool whole = await _spool.TryReadAsync(
            cycle, from, (sequence, record) => SendAsync(sender, sequence, record, cancellationToken), cancellationToken);
        if (!whole)
        {
            await GiveUpAsync("its spool is damaged", cancellationToken);
            return;
        }

        await sender.EndBatchAsync(cancellationToken);
        await sender.WaitAcknowledgedAsync(cycle.LastSequence, cancellationToken);
        await AcknowledgeAsync(cycle, _environment.Time.GetElapsedTime(began), cancellationToken);
    }

    private async ValueTask SendAsync(ReplicationSender sender, ulong sequence, ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        await sender.SendAsync(record, sequence, cancellationToken);
        if (sequence % ShowEveryRecords == 0)
        {
            ShowState();
        }
    }

    /// <summary>The target holds the cycle: from now on its checkpoint is the one to count from, and the older one goes.</summary>
    private async ValueTask AcknowledgeAsync(PendingCycle cycle, TimeSpan sending, CancellationToken cancellationToken)
    {
        SourceState before = _state;
        await SaveAsync(SourceTransitions.Acknowledge(before), cancellationToken);
        _pauses.Progress();
        _statistics.CycleDelivered(cycle.Bytes, _environment.Time.GetElapsedTime(_lastCut), sending);
        if (before.IsCopying)
        {
            long moved = CopiedBytes(_state.Disks) - CopiedBytes(before.Disks);
            _statistics.CopyMoved(moved, _environment.Time.GetElapsedTime(_lastCut));
        }

        if (before.Copy is { } done && _state.Copy is null)
        {
            RaiseCopyDone(done, done.Compared + cycle.Compared);
        }

        RaiseJoined(before.Disks, _state.Disks);
        Log.Delivered(_environment.Logger, Spec.Vm, cycle.LastSequence, cycle.Bytes, cycle.Listed);
        ClearFault();
        ShowState();
        AnswerWanted(cycle);
        await DropDeliveredAsync(before.Checkpoint == _state.Checkpoint ? null : before.Checkpoint, cancellationToken);
    }

    /// <summary>Whatever fails here, or is interrupted, is a stray, which the next cut removes; the cycle itself is done.</summary>
    private async ValueTask DropDeliveredAsync(string? olderCheckpoint, CancellationToken cancellationToken)
    {
        bool others = _strays;
        _strays = true;
        try
        {
            if (olderCheckpoint is not null)
            {
                await _environment.Capture.DeleteCheckpointAsync(Spec.Vm, olderCheckpoint, cancellationToken);
            }

            await _spool.KeepOnlyAsync(null, cancellationToken);
            _strays = others;
        }
        catch (UnderstudyException left)
        {
            Log.LeftStray(_environment.Logger, Spec.Vm, left.Message);
        }
    }

    /// <summary>Asks the target where it stands, because a cycle was given up or nothing was ever sent.</summary>
    private async ValueTask AskTargetAsync(CancellationToken cancellationToken)
    {
        await DisconnectAsync();
        await ConnectAsync(cancellationToken);
    }

    /// <summary>The connection, opened where there is none; null when the target's answer changed what is to be done.</summary>
    private async ValueTask<ReplicationSender?> ConnectAsync(CancellationToken cancellationToken)
    {
        if (_sender is { EndReason: null } alive)
        {
            return alive;
        }

        ReplicationSender sender = await OpenSessionAsync(cancellationToken);
        await ValidateAsync(cancellationToken);
        await NoteSeedAsync(sender, cancellationToken);
        ulong flushed = sender.Welcome.FlushedSequence;
        Reconciliation meaning = ReconciliationRules.Decide(_state, flushed);
        Log.Connected(_environment.Logger, Spec.Vm, flushed, meaning);
        switch (meaning)
        {
            case Reconciliation.Resume:
                return sender;
            case Reconciliation.Learn:
                await SaveAsync(SourceTransitions.SequenceLearnt(_state, flushed), cancellationToken);
                return null;
            case Reconciliation.TargetLost:
                await StartOverAsync($"the target has lost records: it holds {flushed} and had acknowledged {_state.AcknowledgedSequence}", flushed, cancellationToken);
                return null;
            case Reconciliation.TargetAhead:
                await StartOverAsync($"the target holds {flushed} records, this side knows of {_state.UsedSequence}", flushed, cancellationToken);
                return null;
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private async ValueTask StartOverAsync(string reason, ulong flushed, CancellationToken cancellationToken)
    {
        await ResynchroniseAsync(reason, cancellationToken, flushed);
    }
}
