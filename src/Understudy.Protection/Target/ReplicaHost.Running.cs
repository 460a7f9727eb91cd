using Understudy.Journal;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target;

/// <summary>What goes on by itself: views are served, guests are looked after, a claim at the source is given way to, the oldest
/// point moves forward, a waiting commit looks again.</summary>
public sealed partial class ReplicaHost
{
    /// <summary>Runs until cancelled. A fault is kept in the status and tried again; a broken invariant ends the loop that
    /// met it and no other: views are served to a running guest even when the housekeeping cannot go on.</summary>
    public Task RunAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(_loops.Select(loop => loop.RunAsync(_context.Services, _context.Vm, cancellationToken)));

    /// <summary>Each chore in a loop of its own: what one of them cannot do (a branch that cannot be deleted, a guest that cannot
    /// be stopped) holds up no other.</summary>
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
            new HostLoop("giving way to a claim at the source", settings.WatchEvery, (_, token) => _failover.GiveWayAsync(token).AsTask()),
            new HostLoop("keeping the VM as its ownership is", settings.WatchEvery, (_, token) => _failover.KeepGuestAsync(token).AsTask()),
            new HostLoop("looking after the failed-over VM", settings.WatchEvery, (_, token) => _failover.WatchAsync(production, token)),
            new HostLoop("looking after tests", settings.WatchEvery, (_, token) => _tests.WatchAsync(tests, token)),
            new HostLoop("looking after mounts", settings.WatchEvery, (_, token) => _mounts.WatchAsync(mounts, token)),
            new HostLoop("going on with the failover", settings.HousekeepingEvery, (_, token) => _failover.TendAsync(token).AsTask()),
            new HostLoop("moving the oldest point", settings.HousekeepingEvery, (_, token) => _failover.MoveOldestAsync(MoveOldestAsync, token).AsTask()),
            new HostLoop("letting go of points", settings.HousekeepingEvery, (_, token) => _context.Pins.RemoveOwedAsync(token).AsTask()),
            new HostLoop("ending branches", settings.HousekeepingEvery, (_, token) => _context.Branches.ExpireAsync(token).AsTask()),
        ];
    }

    private async ValueTask MoveOldestAsync(CancellationToken cancellationToken)
    {
        if (await _context.Slot.Replica.ApplyRetentionAsync(_spec.Retention, cancellationToken) is ApplyOutcome.Applied applied)
        {
            Log.OldestMoved(_context.Logger, _context.Vm, applied.Point.ToString());
        }
    }
}
