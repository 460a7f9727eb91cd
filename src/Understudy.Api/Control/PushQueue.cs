namespace Understudy.Api.Control;

/// <summary>
/// News on its way to the vault. State (one report for each VM, one inventory) replaces what is still queued of the same
/// key, so a slow link sees fewer and newer reports, never older ones; events keep their order, and beyond the limit the
/// oldest is dropped. What takes the place of one that is being sent comes in at the end: where a send takes longer than a report
/// lasts, everybody else has a turn. Any thread may post; one loop takes.
/// </summary>
public sealed class PushQueue
{
    /// <summary>Events that outlast an outage of the vault; there is one every few minutes at most.</summary>
    public const int MaxEvents = 1000;

    private readonly Lock _lock = new();
    private readonly LinkedList<Entry> _entries = new();
    private readonly Dictionary<string, LinkedListNode<Entry>> _states = new(StringComparer.Ordinal);
    private readonly List<(long Upto, TaskCompletionSource Gone)> _waiting = [];
    private TaskCompletionSource _arrival = NewArrival();
    private LinkedListNode<Entry>? _sending; // the first, once it was peeked
    private long _posted;
    private int _events;

    /// <param name="key">What the state is about, e.g. "source/VM".</param>
    public void PostState(string key, PushMessage push)
    {
        lock (_lock)
        {
            if (_states.TryGetValue(key, out LinkedListNode<Entry>? queued) && queued != _sending)
            {
                queued.Value = queued.Value with { Push = push };
                return;
            }

            _states[key] = _entries.AddLast(new Entry(++_posted, key, push));
            _arrival.TrySetResult();
        }
    }

    public void PostEvent(PushMessage push)
    {
        lock (_lock)
        {
            _entries.AddLast(new Entry(++_posted, null, push));
            if (++_events > MaxEvents)
            {
                RemoveOldestEvent();
            }

            _arrival.TrySetResult();
        }
    }

    /// <summary>Drops queued state: a new connection begins with all of it, taken after this call.</summary>
    public void ForgetStates()
    {
        lock (_lock)
        {
            foreach (LinkedListNode<Entry> state in _states.Values)
            {
                _entries.Remove(state);
            }

            if (_sending is { Value.Key: not null, List: not null })
            {
                _entries.Remove(_sending); // something newer has its key
            }

            _states.Clear();
            _sending = null;
            TellWhoWaits();
        }
    }

    /// <summary>Completes when nothing is queued any more of what is queued now; for as long as there is no connection, that is not.</summary>
    public Task WhenSentAsync()
    {
        lock (_lock)
        {
            if (_entries.Last is not { } last)
            {
                return Task.CompletedTask;
            }

            TaskCompletionSource gone = NewArrival();
            _waiting.Add((last.Value.Number, gone));
            return gone.Task;
        }
    }

    /// <summary>The next in line, waiting for one. It stays queued until <see cref="Sent"/>.</summary>
    public async ValueTask<PushMessage> PeekAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task arrival;
            lock (_lock)
            {
                if (_entries.First is { } first)
                {
                    _sending = first;
                    return first.Value.Push;
                }

                _arrival = NewArrival();
                arrival = _arrival.Task;
            }

            await arrival.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Removes what was peeked.</summary>
    public void Sent(PushMessage push)
    {
        lock (_lock)
        {
            if (_entries.First is { } first && ReferenceEquals(first.Value.Push, push))
            {
                _entries.RemoveFirst();
                if (first.Value.Key is not { } key)
                {
                    _events--;
                }
                else if (_states[key] == first)
                {
                    _states.Remove(key);
                }

                _sending = null;
                TellWhoWaits();
            }
        }
    }

    private void TellWhoWaits()
    {
        long next = _entries.First?.Value.Number ?? long.MaxValue;
        foreach ((_, TaskCompletionSource gone) in _waiting.Where(waiting => waiting.Upto < next))
        {
            gone.TrySetResult();
        }

        _waiting.RemoveAll(waiting => waiting.Upto < next);
    }

    private void RemoveOldestEvent()
    {
        for (LinkedListNode<Entry>? node = _entries.First; node is not null; node = node.Next)
        {
            if (node.Value.Key is null)
            {
                _entries.Remove(node);
                _events--;
                TellWhoWaits();
                return;
            }
        }
    }

    private static TaskCompletionSource NewArrival() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly record struct Entry(long Number, string? Key, PushMessage Push);
}
