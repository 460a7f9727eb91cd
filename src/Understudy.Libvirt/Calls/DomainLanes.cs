using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Libvirt.Calls;

/// <summary>Which calls on one domain exclude each other.</summary>
internal enum Lane
{
    /// <summary>Goes past everything: the call that ends a domain whose other calls hang, and those that take no lock in libvirt.</summary>
    Free,

    /// <summary>Reads that may ask QEMU's monitor.</summary>
    Query,

    /// <summary>Changes. Libvirt serialises them anyway, with a lock that times out after 30 s and an unkind message.</summary>
    Job,

    /// <summary>Whatever concerns storage pools and their volumes: one call of the whole host at a time.</summary>
    Storage,
}

/// <summary>
/// One call at a time for each domain and lane. A lane is left when the C call has ended, so a hung domain holds at most
/// two threads however often callers try again. A call that its caller has given up and that has not ended is overdue.
/// </summary>
internal sealed class DomainLanes
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(VmId Vm, Lane Lane), Entry> _entries = [];

    /// <summary>Null for <see cref="Lane.Free"/>. Cancellation leaves the lane as it was.</summary>
    public async ValueTask<Stay?> EnterAsync(VmId vm, Lane lane, CancellationToken cancellationToken)
    {
        if (lane == Lane.Free)
        {
            return null;
        }

        Entry entry;
        lock (_lock)
        {
            if (!_entries.TryGetValue((vm, lane), out Entry? known))
            {
                known = new Entry();
                _entries.Add((vm, lane), known);
            }

            entry = known;
            entry.Users++;
        }

        try
        {
            AsyncGate.Pass pass = await entry.Gate.EnterAsync(cancellationToken);
            lock (_lock)
            {
                entry.IsInside = true;
            }

            return new Stay(this, vm, lane, entry, pass);
        }
        catch
        {
            Leave(vm, lane, entry);
            throw;
        }
    }

    /// <summary>The call inside has been waited for as long as anybody waits, by one behind it. No error when it has just ended.</summary>
    public void MarkOverdue(VmId vm, Lane lane)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue((vm, lane), out Entry? entry))
            {
                entry.Overdue = entry.IsInside;
            }
        }
    }

    public bool IsOverdue(VmId vm, Lane lane)
    {
        lock (_lock)
        {
            return _entries.TryGetValue((vm, lane), out Entry? entry) && entry.Overdue;
        }
    }

    /// <summary>In how many domains' lane a call is overdue.</summary>
    public int CountOverdue(Lane lane)
    {
        lock (_lock)
        {
            return _entries.Count(known => known.Key.Lane == lane && known.Value.Overdue);
        }
    }

    private void Leave(VmId vm, Lane lane, Entry entry)
    {
        lock (_lock)
        {
            if (--entry.Users == 0)
            {
                _entries.Remove((vm, lane));
            }
        }
    }

    internal sealed class Entry
    {
        public AsyncGate Gate { get; } = new();

        /// <summary>Inside and waiting; under the lock.</summary>
        public int Users { get; set; }

        public bool IsInside { get; set; } // under the lock

        /// <summary>Of the one inside; under the lock.</summary>
        public bool Overdue { get; set; }
    }

    internal sealed class Stay(DomainLanes lanes, VmId vm, Lane lane, Entry entry, AsyncGate.Pass pass) : IDisposable
    {
        private AsyncGate.Pass _pass = pass;
        private bool _left; // under the lock

        /// <summary>Nobody waits for the call any more; it may have ended in the same moment.</summary>
        public void MarkOverdue()
        {
            lock (lanes._lock)
            {
                entry.Overdue |= !_left;
            }
        }

        public void Dispose()
        {
            lock (lanes._lock)
            {
                (_left, entry.IsInside, entry.Overdue) = (true, false, false);
            }

            _pass.Dispose();
            lanes.Leave(vm, lane, entry);
        }
    }
}
