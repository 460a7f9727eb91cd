using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Calls;

/// <summary>
/// Runs blocking C calls on threads of its own, so that a libvirt that hangs never holds a thread-pool thread. The caller
/// waits no longer than the limit; the call itself cannot be interrupted, so it keeps its thread and whatever it holds
/// until it ends, and its end is logged and its result disposed. Continuations never run on these threads.
/// </summary>
internal sealed class CallQueue : IAsyncDisposable
{
    /// <summary>At most two calls a domain run at once (<see cref="DomainLanes"/>), so three hung domains leave room for the rest.</summary>
    public const int ThreadCount = 8;

    /// <summary>A backlog this long means that libvirt has stopped answering; more waiting would only hide it.</summary>
    private const int LongestBacklog = 256;

    private static readonly TimeSpan DisposeLimit = TimeSpan.FromSeconds(5);

    private readonly BlockingCollection<CallQueueItem> _items = new(new ConcurrentQueue<CallQueueItem>(), LongestBacklog);
    private readonly Thread[] _threads;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    public CallQueue(TimeProvider time, ILogger logger, int threads = ThreadCount)
    {
        _time = time;
        _logger = logger;
        _threads = new Thread[threads];
        for (int i = 0; i < threads; i++)
        {
            // Background: a call that never returns must not keep the process alive.
            _threads[i] = new Thread(Work) { IsBackground = true, Name = $"libvirt call {i}" };
            _threads[i].Start();
        }
    }

    /// <param name="what">A phrase for people: "begin the backup".</param>
    /// <param name="held">Disposed when the call has really ended, or was never started; not when the caller gave up.</param>
    public async Task<T> RunAsync<T>(string what, TimeSpan limit, IDisposable? held, Func<T> call, CancellationToken cancellationToken)
    {
        var item = new CallQueueItem<T>(what, held, call, _time, _logger);
        if (!TryAdd(item))
        {
            item.Release();
            throw new HypervisorException(
                HypervisorFault.Busy,
                $"libvirt could not be asked to {what}: {LongestBacklog} calls are waiting for it already",
                "See why libvirtd does not answer: virsh list, journalctl -u libvirtd.");
        }

        try
        {
            return await item.Result.WaitAsync(limit, _time, cancellationToken);
        }
        catch (TimeoutException)
        {
            item.Abandon();
            throw new HypervisorException(
                HypervisorFault.TimedOut,
                $"libvirt did not {what} within {limit.TotalSeconds:0} s",
                "The call may still take effect: the state is read back before anything else is done. See journalctl -u libvirtd.");
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            item.Abandon();
            throw;
        }
    }

    /// <summary>Ends the threads that are idle; one that hangs in libvirt is left behind and dies with the process.</summary>
    public async ValueTask DisposeAsync()
    {
        _items.CompleteAdding();
        long start = _time.GetTimestamp();
        while (_threads.Any(thread => thread.IsAlive) && _time.GetElapsedTime(start) < DisposeLimit)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), _time);
        }

        if (!_threads.Any(thread => thread.IsAlive))
        {
            _items.Dispose();
        }
    }

    private bool TryAdd(CallQueueItem item)
    {
        try
        {
            return _items.TryAdd(item);
        }
        catch (InvalidOperationException)
        {
            item.Release();
            throw new ObjectDisposedException(nameof(CallQueue));
        }
    }

    private void Work()
    {
        foreach (CallQueueItem item in _items.GetConsumingEnumerable())
        {
            item.Run();
        }
    }
}
