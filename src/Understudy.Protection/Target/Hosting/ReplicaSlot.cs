using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;

namespace Understudy.Protection.Target.Hosting;

/// <summary>
/// The open replica, while there is one. From step (d) of a commit on there is none: the base is the guest's own, and nobody
/// may read it through us any more. And while one is opened anew after a fault of its storage there is none either; what
/// it said last then still stands for whoever asks for the status.
/// </summary>
internal sealed class ReplicaSlot : IViews
{
    private volatile Replica? _replica;
    private volatile Replica? _before;
    private volatile bool _isClosed;

    /// <summary>Null when there is none. Read it once: it may be closed at any time.</summary>
    public Replica? TryGet() => _replica;

    /// <summary>It has stopped after a fault, or is being opened anew.</summary>
    public bool NeedsOpening => _before is not null || _replica is { IsStopped: true };

    /// <summary>Being opened anew: it comes back by itself.</summary>
    public bool IsReopening => _replica is null && _before is not null;

    /// <summary>For good: there is none any more.</summary>
    public bool IsClosed => _isClosed;

    /// <exception cref="RefusedException">It has been closed for a commit.</exception>
    /// <exception cref="StorageException">It is being opened anew.</exception>
    public Replica Replica => _replica ?? throw (_before is null
        ? new RefusedException(RefusalCode.NoSuchReplica, "The replica's base belongs to the failed-over VM now: there are no recovery points to read.", "Wait for the commit to end.")
        : new StorageException(FaultKind.Closed, $"replica {_before.Id}", "it is being opened anew after a fault of its storage", "Try again in a moment; see the host's status if this goes on."));

    /// <summary>Snapshots of the open one, or of the one before while there is none for a moment.</summary>
    public Replica? Shown => _replica ?? _before;

    public void Put(Replica replica)
    {
        _replica = replica;
        _before = null;
        _isClosed = false;
    }

    /// <summary>For good.</summary>
    public ValueTask CloseAsync()
    {
        Replica? open = _replica;
        _isClosed = true;
        _before = null;
        _replica = null;
        return open?.DisposeAsync() ?? default;
    }

    /// <summary>To be opened anew; the views have ended before.</summary>
    public ValueTask CloseForReopeningAsync()
    {
        Replica? open = _replica;
        _before = open ?? _before;
        _replica = null;
        return open?.DisposeAsync() ?? default;
    }

    public async ValueTask<IBlockDevice> OpenAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken) =>
        await Replica.OpenViewAsync(point, disk, cancellationToken);
}
