using Understudy.Journal;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target;

/// <summary>What goes on by itself: views are served, guests on views are looked after, the oldest point moves forward, a
/// waiting commit looks again.</summary>
public sealed partial class ReplicaHost
{
    /// <summary>Runs until cancelled. A fault is kept in the status and tried again; a broken invariant ends the loop that
    /// met it and no other: views are served to a running guest even when the housekeeping cannot go on.</summary>
    public Task RunAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(_loops.Select(loop => loop.RunAsync(_context.Services, _context.Vm, cancellationToken)));

    /// <summary>What a failed-over guest needs comes first, apart from the tests: none of them can hold it up.</summary>
    private HostLoop[] MakeLoops()
    {
        TargetSettings settings = _context.Services.Settings;
        GuestWatch production = new(_context);
        GuestWatch tests = new(_context);
        GuestWatch mounts = new(_context);
        return
        [
            new HostLoop("serving views", settings.HousekeepingEvery, _context.Views.RunAsync),
            new HostLoop("opening the replica anew", settings.WatchEvery, (_, token) => ReopenIfStoppedAsync(token)),
            new HostLoop("looking after the failed-over VM", settings.WatchEvery, (_, token) => _failover.WatchAsync(production, token)),
            new HostLoop("looking after tests", settings.WatchEvery, (_, token) => _tests.WatchAsync(tests, token)),
            new HostLoop("looking after mounts", settings.WatchEvery, (_, token) => _mounts.WatchAsync(mounts, token)),
            new HostLoop("reading the seed", settings.WatchEvery, (_, token) => _seed.RunAsync(token)),
            new HostLoop("housekeeping", settings.HousekeepingEvery, (_, token) => HousekeepAsync(token)),
        ];
    }

    private async Task HousekeepAsync(CancellationToken cancellationToken)
    {
        await _context.Pins.RemoveOwedAsync(cancellationToken);
        await _context.Branches.ExpireAsync(cancellationToken);
        await _context.Token.MendAsync(cancellationToken);
        if (_failover.Current is null)
        {
            await _failover.MoveOldestAsync(MoveOldestAsync, cancellationToken);
        }
        else
        {
            await _failover.TendAsync(cancellationToken);
        }
    }

    private async ValueTask MoveOldestAsync(CancellationToken cancellationToken)
    {
        if (_context.Slot.Replica.AwaitsSeed)
        {
            return; // The base is being written, for hours perhaps: nothing waits for that here.
        }

        if (await _context.Slot.Replica.ApplyRetentionAsync(_spec.Retention, cancellationToken) is ApplyOutcome.Applied applied)
        {
            Log.OldestMoved(_context.Logger, _context.Vm, applied.Point.ToString());
        }
    }
}
