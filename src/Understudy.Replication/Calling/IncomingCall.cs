using Understudy.Blocks.Identity;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Calling;

/// <summary>Finds the source that a target calls.</summary>
public interface ICalledSources
{
    /// <summary>Hands the call to the source of its replica, which decides it later. False when this host has no such source
    /// whose target is the caller.</summary>
    bool TryOffer(IncomingCall call);
}

/// <summary>
/// A target has dialled and waits to be used. Decided once, by the source or by the patience of whoever took the connection
/// in; the tasks of the two meet here.
/// </summary>
public sealed class IncomingCall(ControlFrame.Call call, Guid agent, Stream stream)
{
    private readonly Lock _lock = new();
    private readonly Pulse _decided = new();
    private bool _over;
    private Refusal? _refusal;

    public ReplicaId Replica => call.Replica;

    public VmId Vm => call.Vm;

    /// <summary>Who calls, as its certificate proves.</summary>
    public Guid Agent => agent;

    /// <summary>It is decided.</summary>
    public bool IsOver
    {
        get
        {
            lock (_lock)
            {
                return _over;
            }
        }
    }

    /// <returns>False when it was decided before.</returns>
    public bool TryRefuse(Refusal refusal) => TryDecide(refusal);

    /// <summary>Takes it. The stream is then the taker's, as fresh as one it had dialled itself; null when it was decided before.</summary>
    public async ValueTask<Stream?> TryTakeAsync(CancellationToken cancellationToken)
    {
        if (!TryDecide(refusal: null))
        {
            return null;
        }

        try
        {
            await stream.WriteAsync(ControlFrameCodec.Encode(ControlFrame.Answer.Value), cancellationToken);
            await stream.FlushAsync(cancellationToken);
            return stream;
        }
        catch (Exception failure)
        {
            await stream.DisposeAsync();
            if (failure is IOException or ObjectDisposedException)
            {
                throw new ConnectionLostException($"the connection that the target had dialled broke: {failure.Message}", failure);
            }

            throw;
        }
    }

    /// <summary>Waits for the decision; after the patience it is a refusal. Null when the call was taken.</summary>
    internal async ValueTask<Refusal?> WaitAsync(TimeSpan patience, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            await _decided.WaitPastAsync(0, patience, time, cancellationToken);
        }
        finally
        {
            TryRefuse(Refusal.NotNow()); // Of no effect when the source was quicker.
        }

        lock (_lock)
        {
            return _refusal;
        }
    }

    private bool TryDecide(Refusal? refusal)
    {
        lock (_lock)
        {
            if (_over)
            {
                return false;
            }

            (_over, _refusal) = (true, refusal);
        }

        _decided.Beat();
        return true;
    }
}
