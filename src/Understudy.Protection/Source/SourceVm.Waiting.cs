using Understudy.Blocks;
using Understudy.Protection.Ports;
using WireCode = Understudy.Replication.Wire.RefusalCode;
using WireRefusal = Understudy.Replication.Wire.RefusedException;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    /// <summary>A VM that is off is looked at this often; a nudge is faster.</summary>
    private static readonly TimeSpan VmPoll = TimeSpan.FromSeconds(15);

    /// <summary>A time of day is looked at this often: the clock may be set.</summary>
    private static readonly TimeSpan ClockPoll = TimeSpan.FromMinutes(1);

    /// <summary>In a long pause the target is probed this often. With the probe itself this bounds how late a source that was
    /// cut off learns of a newer line.</summary>
    private static readonly TimeSpan ProbeEvery = TimeSpan.FromSeconds(3);

    /// <summary>A newer line that could not be noted: until it is, the guest here runs on beside the owner's.</summary>
    private static readonly TimeSpan HearAgainAfter = TimeSpan.FromSeconds(3);

    /// <summary>At most, where only space is missing.</summary>
    private static readonly TimeSpan SpaceAgainAfter = TimeSpan.FromMinutes(1);

    private async ValueTask WaitForNextCycleAsync(CancellationToken cancellationToken)
    {
        if (_state.HasNotBegun && EarlyBy() is var early && early > TimeSpan.Zero)
        {
            await WaitAsync(SourceWait.StartTime, early < ClockPoll ? early : ClockPoll, cancellationToken);
            return;
        }

        if (_state.PausedBy is not null)
        {
            await WaitAsync(SourceWait.Resume, VmPoll, cancellationToken);
            return;
        }

        long now = _environment.Time.GetTimestamp();
        TimeSpan left = Due is { } due ? _environment.Time.GetElapsedTime(now, due) : TimeSpan.Zero;
        await WaitAsync(SourceWait.NextCycle, left, cancellationToken);
    }

    /// <summary>One place decides about every fault: count it, show it, wait as long as its kind deserves.</summary>
    private async ValueTask PauseAfterAsync(SourceStep step, UnderstudyException fault, CancellationToken cancellationToken)
    {
        bool isHeard = true;
        if (fault is WireRefusal { Refusal: { Code: WireCode.StaleLine } refusal })
        {
            try
            {
                await LearnAsync(refusal, cancellationToken);
                if (Hold() == SourceHold.OwnedAnew)
                {
                    return; // It was offered back.
                }
            }
            catch (UnderstudyException unkept)
            {
                (fault, isHeard) = (unkept, false); // Said again at the next contact.
            }

            if (isHeard && Hold() == SourceHold.Away)
            {
                ClearFault(); // That the other side owns the VM is no fault of replication.
                await WaitAsync(SourceWait.OwnerDecision, AwayContactEvery, cancellationToken);
                return;
            }

            if (Spec.Line.IsNewerThan(refusal.CurrentLine))
            {
                // The VM was claimed here. The target hears of it by being asked, and takes the line once its own copy is off.
                NoteFault(SourceWait.Target, new UnderstudyException(
                    FaultClass.Transient, $"the target has heard that the VM belongs here, and has to end its own copy first ({fault.Message})",
                    $"When this goes on, see on the target's host whether {Spec.VmName} was committed or cannot be stopped there."));
                await DisconnectAsync();
                await WaitAsync(SourceWait.Target, AwayContactEvery, cancellationToken);
                return;
            }
        }

        SourceWait wait = WaitFor(fault);
        TimeSpan pause = isHeard ? _pauses.Next() : HearAgainAfter;
        if (wait == SourceWait.Hypervisor && pause > _policy.Frequency)
        {
            pause = _policy.Frequency; // A local call costs nothing; the growing pauses are for links and people.
        }

        if (pause > SpaceAgainAfter && (wait == SourceWait.SpaceAtTarget || fault is StorageException { Kind: FaultKind.Full }))
        {
            pause = SpaceAgainAfter; // Whoever has made space watches for it to help, and to look costs one record.
        }

        if (step is SourceStep.Cut or SourceStep.Deliver)
        {
            _statistics.CycleFailed();
        }

        Log.Fault(_environment.Logger, Spec.Vm, step, _pauses.Failures, pause, fault.Message, fault);
        NoteFault(wait, fault);
        if (wait is SourceWait.Link or SourceWait.Target)
        {
            await DisconnectAsync();
        }

        if (wait == SourceWait.Link)
        {
            await WaitForLinkAsync(pause, cancellationToken);
        }
        else if (IsConnected)
        {
            await WaitAsync(wait, pause, cancellationToken);
        }
        else
        {
            await WaitAtTheDoorAsync(step, wait, pause, cancellationToken);
        }
    }

    /// <summary>The pause, without a session that the target could end with news: it is asked meanwhile whether this side's
    /// line is still the current one. A target without space can fail the VM over as well as any other (PRE-5).</summary>
    private async ValueTask WaitAtTheDoorAsync(SourceStep step, SourceWait wait, TimeSpan pause, CancellationToken cancellationToken)
    {
        long until = _environment.Time.GetTimestamp() + (long)(pause.TotalSeconds * _environment.Time.TimestampFrequency);
        while (true)
        {
            TimeSpan left = _environment.Time.GetElapsedTime(_environment.Time.GetTimestamp(), until);
            bool ended = await WaitAsync(wait, left < AwayContactEvery ? left : AwayContactEvery, cancellationToken);
            if (ended || HasOrders || _environment.Time.GetTimestamp() >= until)
            {
                return;
            }

            try
            {
                await OpenSessionAsync(cancellationToken);
                await DisconnectAsync();
            }
            catch (WireRefusal news) when (news.Refusal.Code == WireCode.StaleLine)
            {
                await PauseAfterAsync(step, news, cancellationToken);
                return;
            }
            catch (UnderstudyException)
            {
                // Asked again in a moment; what is wrong is said by the attempt that ends the pause.
            }
        }
    }

    private static SourceWait WaitFor(UnderstudyException fault) => fault switch
    {
        WireRefusal { Refusal.Code: WireCode.TargetFull } => SourceWait.SpaceAtTarget,
        WireRefusal { Refusal.Code: WireCode.StaleLine or WireCode.Diverged or WireCode.Closed } => SourceWait.OwnerDecision,
        WireRefusal { Refusal.Code: WireCode.Stopping or WireCode.Silence } => SourceWait.Link,
        WireRefusal => SourceWait.Target,
        HypervisorException { Fault: HypervisorFault.NotRunning or HypervisorFault.NoSuchVm } => SourceWait.VmToRun,
        HypervisorException or UnnamedFaultException => SourceWait.Hypervisor,
        StorageException => SourceWait.SpaceHere,
        _ => SourceWait.Link,
    };

    /// <summary>The pause, or until the target answers again after it did not.</summary>
    private async ValueTask WaitForLinkAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        long until = _environment.Time.GetTimestamp() + (long)(pause.TotalSeconds * _environment.Time.TimestampFrequency);
        while (true)
        {
            TimeSpan left = _environment.Time.GetElapsedTime(_environment.Time.GetTimestamp(), until);
            bool ended = await WaitAsync(SourceWait.Link, left < ProbeEvery ? left : ProbeEvery, cancellationToken);
            if (ended || HasOrders || _environment.Time.GetTimestamp() >= until)
            {
                return;
            }

            bool answeredBefore = _peerAnswers;
            _peerAnswers = await _environment.Connector.ProbeAsync(cancellationToken);
            if (_peerAnswers && !answeredBefore)
            {
                return;
            }
        }
    }

    /// <summary>Waits out the time, or until a nudge: true when it was one.</summary>
    private async ValueTask<bool> WaitAsync(SourceWait wait, TimeSpan pause, CancellationToken cancellationToken)
    {
        long seen = _nudged.Beats;
        if (pause <= TimeSpan.Zero || HasOrders)
        {
            return false;
        }

        ShowState(wait, _environment.Time.GetUtcNow() + pause);
        bool nudged = await _nudged.WaitPastAsync(seen, pause, _environment.Time, cancellationToken);
        ShowState();
        return nudged;
    }
}
