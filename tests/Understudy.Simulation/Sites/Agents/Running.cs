using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>An engine with the loop that its owner runs. A loop that ends by itself ends the agent: in the product it would
/// stand still until somebody looks, here it must not happen.</summary>
internal sealed class Running<T>(T subject, Func<CancellationToken, Task> run)
{
    private readonly Func<CancellationToken, Task> _run = run;
    private CancellationTokenSource _stop = new();
    private Task _loop = Task.CompletedTask;

    public T Subject { get; } = subject;

    public void Start(SimProcess process, TaskCompletionSource died)
    {
        _stop = new CancellationTokenSource();
        _loop = RunAsync(process, died);
    }

    public async Task StopAsync()
    {
        _stop.Cancel();
        await _loop;
    }

    private async Task RunAsync(SimProcess process, TaskCompletionSource died)
    {
        await process.TakeTimeAsync(TimeSpan.Zero);
        try
        {
            await _run(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The way to stop.
        }
#pragma warning disable CA1031 // Whatever it was, the world judges it.
        catch (Exception broken)
#pragma warning restore CA1031
        {
            died.TrySetException(broken);
        }
    }
}
