using Understudy.Blocks;

namespace Understudy.Protection.Target.Runs;

/// <summary>Who comes first: a failover, or a claim at the source, interrupts what moves the oldest point.</summary>
internal sealed partial class FailoverRuns
{
    /// <summary>Guards the two below: orders and the host's housekeeping meet here.</summary>
    private readonly Lock _turn = new();
    private CancellationTokenSource? _giveWay;
    private int _startsWaiting;

    /// <summary>
    /// For the host's housekeeping: runs what moves the oldest point, unless there is a failover. The oldest point must not
    /// pass the one that is being failed over to before the new line begins there (a pin would keep that one readable, but
    /// history cannot go on from it). So both happen under the same gate, and a failover does not wait for an apply: it
    /// interrupts it. An apply that was interrupted goes on later, at the latest in the commit.
    /// </summary>
    public async ValueTask MoveOldestAsync(Func<CancellationToken, ValueTask> move, CancellationToken cancellationToken)
    {
        if (Current is not null)
        {
            return; // Not even the gate is waited for.
        }

        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Current is null)
        {
            await TryUninterruptedAsync(move, cancellationToken); // Otherwise a failover comes first.
        }
    }

    /// <summary>Inside the gate: false when somebody came who goes before, and it was not begun or not ended.</summary>
    private async ValueTask<bool> TryUninterruptedAsync(Func<CancellationToken, ValueTask> move, CancellationToken cancellationToken)
    {
        CancellationTokenSource giveWay = new(); // Never disposed: whoever cancels it may come late, and it holds nothing.
        lock (_turn)
        {
            if (_startsWaiting > 0)
            {
                return false;
            }

            _giveWay = giveWay;
        }

        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(giveWay.Token, cancellationToken);
        try
        {
            await move(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (giveWay.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            lock (_turn)
            {
                _giveWay = null;
            }
        }
    }

    /// <summary>While this runs no order is carried out and no step goes on.</summary>
    public async ValueTask AloneAsync(Func<CancellationToken, ValueTask> work, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await work(cancellationToken);
    }

    private async ValueTask<AsyncGate.Pass> EnterBeforeHousekeepingAsync(CancellationToken cancellationToken)
    {
        CancellationTokenSource? moving;
        lock (_turn)
        {
            _startsWaiting++;
            moving = _giveWay;
        }

        try
        {
            moving?.Cancel();
            return await _gate.EnterAsync(cancellationToken);
        }
        finally
        {
            lock (_turn)
            {
                _startsWaiting--;
            }
        }
    }
}
