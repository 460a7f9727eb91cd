using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target;

/// <summary>A replica whose storage failed is opened anew by the agent that has it: what was promised is on disk, and opening
/// verifies it. Guests on its views wait meanwhile and see no error.</summary>
public sealed partial class ReplicaHost
{
    /// <summary>For a loop of its own: nothing to do while the replica is well. When opening fails it is tried again; until
    /// then everything that needs it says so.</summary>
    private async Task ReopenIfStoppedAsync(CancellationToken cancellationToken)
    {
        if (_context.Slot.NeedsOpening)
        {
            await _failover.AloneAsync(ReopenAsync, cancellationToken);
        }
    }

    private async ValueTask ReopenAsync(CancellationToken cancellationToken)
    {
        if (!_context.Slot.NeedsOpening)
        {
            return; // A commit has closed it meanwhile.
        }

        Log.ReplicaReopens(_context.Logger, _context.Vm);
        try
        {
            await _context.Views.PauseAsync();
            await _context.Slot.CloseForReopeningAsync();
            BaseAccess access = FailoverSteps.Rule(_failover.Current?.Step ?? FailoverStep.Preparing).Base;
            await OpenReplicaAsync(access, mayMake: false, cancellationToken);
            Log.ReplicaReopened(_context.Logger, _context.Vm, _context.Slot.Replica.Points.Count);
        }
        finally
        {
            _context.Views.Resume(); // A view that cannot be opened is refused, and asked for again.
        }
    }
}
