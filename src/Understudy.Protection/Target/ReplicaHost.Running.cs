using Understudy.Blocks;
using Understudy.Journal;

namespace Understudy.Protection.Target;

/// <summary>What goes on by itself: views are served, guests on views are looked after, the oldest point moves forward, a
/// waiting commit looks again.</summary>
public sealed partial class ReplicaHost
{
    /// <summary>Runs until cancelled. A fault of the environment is kept in the status and tried again; a broken
    /// invariant ends it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] loops =
        [
            RepeatAsync("serving views", _context.Services.Settings.HousekeepingEvery, _context.Views.RunAsync, stop.Token),
            RepeatAsync("looking after guests", _context.Services.Settings.WatchEvery, WatchAsync, stop.Token),
            RepeatAsync("housekeeping", _context.Services.Settings.HousekeepingEvery, HousekeepAsync, stop.Token),
        ];
        await Task.WhenAny(loops);
        stop.Cancel();
        await Task.WhenAll(loops);
    }

    private async Task RepeatAsync(string what, TimeSpan pause, Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                try
                {
                    await work(cancellationToken);
                    _error = null;
                }
                catch (UnderstudyException fault)
                {
                    _error = fault;
                    Log.TriedAgain(_context.Logger, _context.Vm, what, fault.Message);
                }

                await Task.Delay(pause, _context.Services.Time, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop.
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        await _tests.WatchAsync(_watch, cancellationToken);
        await _failover.WatchAsync(_watch, cancellationToken);
    }

    private async Task HousekeepAsync(CancellationToken cancellationToken)
    {
        if (_failover.Current is null)
        {
            await MoveOldestAsync(cancellationToken);
        }
        else
        {
            await _failover.TendAsync(cancellationToken);
        }
    }

    private async ValueTask MoveOldestAsync(CancellationToken cancellationToken)
    {
        if (await _context.Slot.Replica.ApplyRetentionAsync(_spec.Retention, cancellationToken) is ApplyOutcome.Applied applied)
        {
            Log.OldestMoved(_context.Logger, _context.Vm, applied.Point.ToString());
        }
    }
}
