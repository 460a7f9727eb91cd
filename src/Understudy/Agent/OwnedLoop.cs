namespace Understudy.Agent;

/// <summary>
/// An engine's loop with an owner: started, stopped, and awaited before anything is taken away from under it. A broken
/// invariant ends the loop and is said; the engine then stands still until the agent is started anew, and the others go on.
/// </summary>
internal sealed class OwnedLoop(string subject, Func<CancellationToken, Task> run, ILogger logger) : IAsyncDisposable
{
    private CancellationTokenSource? _stop;
    private Task _running = Task.CompletedTask;

    public void Start()
    {
        _stop = new CancellationTokenSource();
        _running = RunAsync(_stop.Token);
    }

    /// <summary>Returns when the loop has ended; it can be started again.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stop is { } stop)
        {
            _stop = null;
            await stop.CancelAsync();
            await _running;
            stop.Dispose();
        }
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        await Task.Yield();
        try
        {
            await run(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The way to stop.
        }
        catch (Exception e)
        {
            AgentLog.PartStopped(logger, subject, e.Message, e);
        }
    }
}
