using Understudy.Blocks;

namespace Understudy.Protection.Target;

/// <summary>
/// One thing that a replica's host does by itself, again and again, with an error of its own: another loop's success does
/// not hide it. Any fault is tried again; only a broken invariant ends the loop, and that loop alone, because a guest may
/// be running on what the others do. Written by its own loop, read by whoever asks for the status.
/// </summary>
/// <param name="work">Tells by the action when it is well again, if it goes on without returning.</param>
internal sealed class HostLoop(string what, TimeSpan pause, Func<Action, CancellationToken, Task> work)
{
    private volatile UnderstudyException? _error;

    /// <summary>Why it does not go on; null while it does.</summary>
    public UnderstudyException? Error => _error;

    /// <summary>The error that needs a person most; of equal ones that of the first loop.</summary>
    public static UnderstudyException? WorstOf(IEnumerable<HostLoop> loops)
    {
        UnderstudyException? worst = null;
        foreach (HostLoop loop in loops)
        {
            if (loop.Error is { } error && (worst is null || error.Class > worst.Class))
            {
                worst = error;
            }
        }

        return worst;
    }

    /// <summary>Until cancelled, or until an invariant is broken.</summary>
    public async Task RunAsync(TargetServices services, string vm, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                try
                {
                    await work(() => _error = null, cancellationToken);
                    _error = null;
                }
                catch (Exception fault) when (fault is not InvariantException && !cancellationToken.IsCancellationRequested)
                {
                    _error = fault as UnderstudyException ?? new UnderstudyException(
                        FaultClass.NeedsOperator, $"{vm}: {what}: {fault.Message}", "It is tried again; the agent's log has the details.", fault);
                    Log.TriedAgain(services.Logger, vm, what, fault is UnderstudyException ? fault.Message : fault.ToString());
                }

                await Task.Delay(pause, services.Time, cancellationToken);
            }
        }
        catch (InvariantException broken)
        {
            _error = new UnderstudyException(
                FaultClass.Fatal, $"{vm}: {what} has ended: {broken.Message}", "Restart the agent at a quiet moment, and report this.", broken);
            Log.LoopEnded(services.Logger, vm, what, broken.ToString());
        }
        catch (Exception fault) when (cancellationToken.IsCancellationRequested)
        {
            if (fault is not OperationCanceledException)
            {
                Log.TriedAgain(services.Logger, vm, what, fault.Message); // By whoever opens the replica next.
            }
        }
    }
}
