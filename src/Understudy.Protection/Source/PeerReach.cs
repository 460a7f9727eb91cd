using Understudy.Blocks;
using Understudy.Replication;
using Understudy.Replication.Calling;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Source;

/// <summary>
/// A source's way to its target, whichever of the two dials (REG-3). It takes a connection that the target has dialled where
/// one waits; otherwise it dials, or waits to be called. Which of the two can change at any time, and so can whether both
/// happen: a call is taken also by a source that dials, so that a change which has reached only the target stops nothing.
/// Calls come from other tasks than the engine's; the lock is where they meet.
/// </summary>
/// <param name="dialler">The way for a source that dials.</param>
/// <param name="dials">False where the target does.</param>
public sealed class PeerReach(IPeerConnector dialler, bool dials, TimeProvider time) : IPeerConnector
{
    /// <summary>As long as dialling may take: a target calls each three seconds.</summary>
    private static readonly TimeSpan CallWithin = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Pulse _called = new();
    private IPeerConnector _dialler = dialler;
    private bool _dials = dials;
    private int _choice; // counts the changes of the two
    private IncomingCall? _waiting;

    /// <summary>Its user's own; known here only so that it can be ended. Ending one that is disposed of already does nothing.</summary>
    private Stream? _inUse;
    private bool _inUseWasCalled;

    /// <summary>Told when a call has come, so that the present pause can end.</summary>
    public Action? Called { get; set; }

    /// <summary>
    /// From now on. A connection that was dialled from here before is ended, and the session on it goes on where it was on the
    /// next one; one that the target has dialled stands until the target ends it.
    /// </summary>
    public void Use(IPeerConnector dialler, bool dials)
    {
        Stream? ended = null;
        lock (_lock)
        {
            (_dialler, _dials, _choice) = (dialler, dials, _choice + 1);
            if (!_inUseWasCalled)
            {
                (ended, _inUse) = (_inUse, null);
            }
        }

        ended?.Dispose();
        _called.Beat();
    }

    /// <summary>
    /// The target has called. It has one connection at a time, so an earlier call that still waits, or a session on one, is dead.
    /// </summary>
    public void Offer(IncomingCall call)
    {
        IncomingCall? older;
        Stream? dead = null;
        lock (_lock)
        {
            (older, _waiting) = (_waiting, call);
            if (_inUseWasCalled)
            {
                (dead, _inUse) = (_inUse, null);
            }
        }

        older?.TryRefuse(Refusal.NewerCall());
        dead?.Dispose();
        _called.Beat();
        Called?.Invoke();
    }

    public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        long until = time.GetTimestamp() + (long)(CallWithin.TotalSeconds * time.TimestampFrequency);
        while (true)
        {
            long seen = _called.Beats;
            if ((await TakeCallAsync(cancellationToken) ?? await TryDialAsync(cancellationToken)) is { } stream)
            {
                return stream;
            }

            if (!await _called.WaitPastAsync(seen, time.GetElapsedTime(time.GetTimestamp(), until), time, cancellationToken))
            {
                throw new UnderstudyException(
                    FaultClass.Transient,
                    $"the target's agent has not called for {CallWithin.TotalSeconds:0} s",
                    "By the choice for these two sites the target's host dials this one: see that its agent runs and that this host's replication port is open from there.");
            }
        }
    }

    public async ValueTask<bool> ProbeAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_waiting is { IsOver: false })
            {
                return true;
            }
        }

        return DiallerNow() is ({ } dialler, _) && await dialler.ProbeAsync(cancellationToken);
    }

    private (IPeerConnector? Dialler, int Choice) DiallerNow()
    {
        lock (_lock)
        {
            return (_dials ? _dialler : null, _choice);
        }
    }

    private async ValueTask<Stream?> TakeCallAsync(CancellationToken cancellationToken)
    {
        IncomingCall? call;
        lock (_lock)
        {
            (call, _waiting) = (_waiting, null);
        }

        if (call is null || await call.TryTakeAsync(cancellationToken) is not { } stream)
        {
            return null;
        }

        lock (_lock)
        {
            (_inUse, _inUseWasCalled) = (stream, true);
        }

        return stream;
    }

    /// <summary>Null where the target dials, and when that was chosen while this side was dialling.</summary>
    private async ValueTask<Stream?> TryDialAsync(CancellationToken cancellationToken)
    {
        (IPeerConnector? dialler, int choice) = DiallerNow();
        if (dialler is null)
        {
            return null;
        }

        Stream stream = await dialler.ConnectAsync(cancellationToken);
        lock (_lock)
        {
            if (choice == _choice)
            {
                (_inUse, _inUseWasCalled) = (stream, false);
                return stream;
            }
        }

        await stream.DisposeAsync();
        return null;
    }
}
