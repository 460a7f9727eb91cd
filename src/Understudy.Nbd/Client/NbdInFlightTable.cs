using System.Threading.Channels;
using Understudy.Blocks;

namespace Understudy.Nbd.Client;

/// <summary>
/// The requests in flight on one connection: a fixed number of slots. Senders rent and publish, the reader loop finds and
/// removes; the lock covers the hand-over and the end of the connection, after which nothing is published any more.
/// </summary>
internal sealed class NbdInFlightTable
{
    /// <summary>The slot number has eight bits of the cookie.</summary>
    public const int MaxSlots = 256;

    private readonly Lock _lock = new();
    private readonly Channel<NbdOperation> _free;
    private readonly NbdOperation?[] _inFlight;
    private Exception? _fault;
    private long _answered; // under the lock

    public NbdInFlightTable(int slots)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(slots, MaxSlots);
        _inFlight = new NbdOperation?[slots];
        _free = Channel.CreateBounded<NbdOperation>(slots); // Never full for a writer: there are only as many operations.
        for (int slot = 0; slot < slots; slot++)
        {
            Return(new NbdOperation(slot));
        }
    }

    /// <summary>Whether something ended the connection; then nothing more can be sent.</summary>
    public bool IsEnded
    {
        get
        {
            lock (_lock)
            {
                return _fault is not null;
            }
        }
    }

    public bool IsIdle
    {
        get
        {
            lock (_lock)
            {
                return Array.TrueForAll(_inFlight, static operation => operation is null);
            }
        }
    }

    /// <summary>Parts of answers so far.</summary>
    public long Answered
    {
        get
        {
            lock (_lock)
            {
                return _answered;
            }
        }
    }

    /// <summary>Waits until fewer requests than the limit are in flight.</summary>
    public ValueTask<NbdOperation> RentAsync(CancellationToken cancellationToken) => _free.Reader.ReadAsync(cancellationToken);

    public void Return(NbdOperation operation) =>
        Invariant.Check(_free.Writer.TryWrite(operation), "an NBD operation was returned twice");

    public void ThrowIfEnded()
    {
        lock (_lock)
        {
            if (_fault is not null)
            {
                throw Copy(_fault);
            }
        }
    }

    public void Publish(NbdOperation operation)
    {
        lock (_lock)
        {
            if (_fault is not null)
            {
                throw Copy(_fault);
            }

            _inFlight[operation.Slot] = operation;
        }
    }

    /// <summary>Of which request a part of an answer is.</summary>
    public NbdOperation? Find(ulong cookie)
    {
        int slot = NbdOperation.SlotOf(cookie);
        lock (_lock)
        {
            _answered++;
            return slot < _inFlight.Length && _inFlight[slot] is { } operation && operation.Cookie == cookie ? operation : null;
        }
    }

    public void Remove(NbdOperation operation)
    {
        lock (_lock)
        {
            _inFlight[operation.Slot] = null;
        }
    }

    /// <summary>Says what later requests shall hear, when it is not known already.</summary>
    public void Doom(Exception fault)
    {
        lock (_lock)
        {
            _fault ??= fault;
        }
    }

    /// <summary>Called by the reader loop as its last act: nobody touches the callers' buffers any more.</summary>
    public void FailAll()
    {
        for (int slot = 0; slot < _inFlight.Length; slot++)
        {
            NbdOperation? operation;
            Exception? fault;
            lock (_lock)
            {
                operation = _inFlight[slot];
                fault = _fault;
                _inFlight[slot] = null;
            }

            Invariant.Check(fault is not null, "an NBD connection ended without a reason");
            operation?.Fail(Copy(fault!));
        }
    }

    /// <summary>One exception object must not be thrown from several places at once: each waiter gets its own.</summary>
    private static Exception Copy(Exception fault) => fault is StorageException storage
        ? new StorageException(storage.Kind, storage.Subject, storage.Message[(storage.Subject.Length + 2)..], storage.Remedy, storage)
        : fault;
}
