using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Source;

/// <summary>The hand-over of the VM, seen from its source. Every order can be given again, also after a crash in its middle.</summary>
public sealed partial class SourceHost
{
    /// <summary>A guest is paused within a second of the contact; what takes longer is said to whoever asks.</summary>
    private static readonly TimeSpan DeposeTime = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(200);

    /// <inheritdoc cref="GuestKeeper.FenceAsync"/>
    public ValueTask FenceAsync(string reason, CancellationToken cancellationToken) => Guest.FenceAsync(reason, cancellationToken);

    /// <summary>Undoes a fence while the VM is owned here.</summary>
    public async ValueTask UnfenceAsync(bool start, CancellationToken cancellationToken)
    {
        await Engine.GiveUpLastChangeAsync(cancellationToken); // While it reads the disks nothing can start.
        await Guest.UnfenceAsync(start, cancellationToken);
        Engine.PeerIsBack();
    }

    /// <inheritdoc cref="GuestKeeper.StopAsync"/>
    public ValueTask<GuestStop> StopGuestAsync(bool powerOff, TimeSpan timeout, CancellationToken cancellationToken) =>
        Guest.StopAsync(powerOff, timeout, cancellationToken);

    /// <summary>The target has accepted: it owns the VM.</summary>
    public async ValueTask HandedOverAsync(TransferId transfer, LineId line, CancellationToken cancellationToken)
    {
        await Ownership.TakeAsync(new OwnershipMessage.HandedOver(transfer, line), cancellationToken);
        Engine.OwnershipChanged();
    }

    /// <summary>The target has refused the transfer for good: the VM is owned here again.</summary>
    public ValueTask TakeBackAsync(TransferId transfer, bool start, CancellationToken cancellationToken) =>
        ComeHomeAsync(new OwnershipMessage.TakeBack(transfer), start, cancellationToken);

    /// <summary>The target gives the VM back, by a line of its making that goes on after <paramref name="parent"/>.</summary>
    /// <param name="start">Start it when it is off, resume it when it was paused. A guest that was stopped here because of the
    /// newer line goes on in any case: whoever gives the order may not have known that it ran.</param>
    public async ValueTask AcceptAsync(TransferId transfer, LineId line, RecoveryPointId parent, bool start, CancellationToken cancellationToken)
    {
        bool stopped = Guest.Deposed is { FoundRunning: true } || await Guest.StandsStillUnnotedAsync(cancellationToken);
        await ComeHomeAsync(new OwnershipMessage.Accept(transfer, line, parent, Succeeds: null), start || stopped, cancellationToken);
    }

    /// <summary>A newer line owns the VM. Returns when the copy here does nothing any more, or after ten seconds of trying.</summary>
    /// <param name="action">What is done to a guest that runs; null for the policy's.</param>
    public async ValueTask DeposeAsync(LineId line, DateTimeOffset mintedAt, DeposedAction? action, CancellationToken cancellationToken)
    {
        Guest.WhenDeposed = action ?? _policy.WhenDeposed;
        DateTimeOffset now = _environment.Ownership.Time.GetUtcNow();
        await Ownership.TakeAsync(new OwnershipMessage.Learn(line, mintedAt, now), cancellationToken);
        Engine.OwnershipChanged();
        long began = _environment.Ownership.Time.GetTimestamp();
        while (true)
        {
            await Guest.TendAsync(cancellationToken);
            if (Guest.Deposed is not { Settled: false } || _environment.Ownership.Time.GetElapsedTime(began) >= DeposeTime)
            {
                return;
            }

            await Task.Delay(LookEvery, _environment.Ownership.Time, cancellationToken);
        }
    }

    /// <summary>After a boot: what somebody knows who would know of a newer line.</summary>
    /// <param name="newest">The newest line that is known there.</param>
    public async ValueTask RevalidateAsync(NewerLine newest, bool valid, CancellationToken cancellationToken)
    {
        if (newest.Line.IsNewerThan(Ownership.Record.Line))
        {
            await DeposeAsync(newest.Line, newest.MintedAt, action: null, cancellationToken);
        }
        else if (valid)
        {
            await Ownership.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
            await Guest.TendAsync(cancellationToken);
        }
    }

    /// <summary>
    /// A human's word: the VM may run here, whatever the other side does. A claim that only waited to be validated after a boot
    /// is valid now; should the target have taken the VM over meanwhile, this side still steps back when it hears of that.
    /// In every other state a line begins here that is newer than all the other side can have minted meanwhile: it steps back.
    /// </summary>
    public async ValueTask<LineId> ClaimAsync(bool start, CancellationToken cancellationToken)
    {
        OwnershipRecord before = Ownership.Record;
        if (Ownership.MayRun)
        {
            return before.Line;
        }

        if (before.State is OwnershipState.Here)
        {
            await Guest.WillGoOnAsync(start, cancellationToken);
            await Ownership.TakeAsync(new OwnershipMessage.Validate(), cancellationToken);
            await UnfenceAsync(start, cancellationToken);
        }
        else
        {
            await ComeHomeAsync(new OwnershipMessage.Claim(LineSteps.Claim(before.Line, _environment.Ids.NewRandom128()), Engine.LastKnownPoint), start, cancellationToken);
        }

        _environment.Events.Raise(new SourceEvent(
            SourceEventKind.Claimed,
            Spec.Vm,
            $"VM {Spec.VmName} was claimed on this host by hand, as line {Ownership.Record.Line}",
            "See that it does not run at the other site.",
            _environment.Ownership.Time.GetUtcNow()));
        return Ownership.Record.Line;
    }

    /// <summary>In turn with the end of the protection: a VM that was retired in the meantime stays where it is.</summary>
    private async ValueTask ComeHomeAsync(OwnershipMessage message, bool start, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _sides.EnterAsync(cancellationToken);
        if (Guest.Retired is not null)
        {
            throw OwnershipToken.Closed(Ownership.Record);
        }

        switch (OwnershipRules.Apply(Ownership.Record, message, Ownership.Boot))
        {
            case OwnershipOutcome.Changed:
                await Guest.WillGoOnAsync(start, cancellationToken); // Before the token: from then on it may run.
                break;
            case OwnershipOutcome.Refused refused:
                throw new RefusedException(refused.Code, refused.What, refused.Remedy);
            default:
                break; // It came home before.
        }

        await Ownership.TakeAsync(message, cancellationToken);
        Engine.OwnershipChanged();
        await Guest.TendAsync(cancellationToken);
    }
}
