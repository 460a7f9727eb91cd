using Understudy.Blocks;

namespace Understudy.Protection.Target.Runs;

/// <summary>Who comes first: a failover interrupts the housekeeping that moves the oldest point.</summary>
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
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        CancellationTokenSource giveWay = new(); // Never disposed: whoever cancels it may come late, and it holds nothing.
        lock (_turn)
        {
            if (Current is not null || _startsWaiting > 0)
            {
                return;
            }

            _giveWay = giveWay;
        }

        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(giveWay.Token, cancellationToken);
        try
        {
            await move(either.Token);
        }
        catch (OperationCanceledException) when (giveWay.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // A failover comes first.
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
