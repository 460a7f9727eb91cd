using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Connection;

/// <summary>
/// Hands each event to every watcher. Published from libvirt's event thread, which must never wait: a full queue drops
/// its oldest event and the watcher is told that it missed some.
/// </summary>
internal sealed class EventHub
{
    /// <summary>More than a host full of VMs emits while a watcher reads one state.</summary>
    private const int QueueLength = 256;

    private readonly Lock _lock = new();
    private Watcher[] _watchers = [];

    public void Publish(VmEvent happened)
    {
        foreach (Watcher watcher in Volatile.Read(ref _watchers))
        {
            watcher.Offer(happened);
        }
    }

    public async IAsyncEnumerable<VmEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using Watcher watcher = Subscribe();
        await foreach (VmEvent happened in watcher.Reader.ReadAllAsync(cancellationToken))
        {
            if (watcher.TakeMissed())
            {
                yield return new VmEvent(VmEventKind.Missed, null, null, "the watcher was slower than the events");
            }

            yield return happened;
        }
    }

    /// <summary>Events from this moment on are queued, before the first read.</summary>
    public Watcher Subscribe()
    {
        var watcher = new Watcher(this);
        lock (_lock)
        {
            Volatile.Write(ref _watchers, [.. _watchers, watcher]);
        }

        return watcher;
    }

    private void Unsubscribe(Watcher watcher)
    {
        lock (_lock)
        {
            Volatile.Write(ref _watchers, [.. _watchers.Where(other => other != watcher)]);
        }
    }

    internal sealed class Watcher : IDisposable
    {
        private readonly EventHub _hub;
        private readonly Channel<VmEvent> _queue;
        private int _missed;

        public Watcher(EventHub hub)
        {
            _hub = hub;
            _queue = Channel.CreateBounded<VmEvent>(
                new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
                _ => Volatile.Write(ref _missed, 1));
        }

        public ChannelReader<VmEvent> Reader => _queue.Reader;

        public void Offer(VmEvent happened) => _queue.Writer.TryWrite(happened);

        public bool TakeMissed() => Interlocked.Exchange(ref _missed, 0) == 1;

        public void Dispose() => _hub.Unsubscribe(this);
    }
}
