using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Connection;

/// <summary>
/// Calls that touch storage pools. Each may hang for as long as one pool's server is gone, and libvirt reads no more than a few
/// requests of a client at once: one call of ours is there at a time, and while one is overdue the others fail at once instead of
/// waiting behind it. Whatever a call waits for (the connection, its turn, the answer) is within one limit.
/// </summary>
internal sealed partial class LibvirtConnection
{
    private readonly CancellationTokenSource _ending = new();

    /// <summary>The connection that is being opened for such calls, or was last. Read and written by any of them; of two that begin at
    /// once the other one waits at the gate of openings.</summary>
    private volatile Opening? _forStorage;

    public async Task<T> OnStorageAsync<T>(string what, Func<ConnectHandle, T> call, CancellationToken cancellationToken)
    {
        long start = _time.GetTimestamp();
        RequireAnswers(what); // Before the connection, which may have to be opened anew.
        LibvirtSession session = await OpenForStorageAsync(what, cancellationToken);
        DomainLanes.Stay? stay = await EnterAsync(Nobody, Lane.Storage, what, Remaining(_settings.StorageLimit, start), cancellationToken);
        return await RunAsync(session, what, Remaining(_settings.StorageLimit, start), stay, () => call(session.Connect), cancellationToken);
    }

    /// <summary>The same for what is read past libvirt: the files that pools consist of. No connection has to be there for it.</summary>
    public async Task<T> OnFilesAsync<T>(string what, Func<T> call, CancellationToken cancellationToken)
    {
        long start = _time.GetTimestamp();
        RequireAnswers(what);
        DomainLanes.Stay? stay = await EnterAsync(Nobody, Lane.Storage, what, _settings.StorageLimit, cancellationToken);
        return await RunAsync(null, what, Remaining(_settings.StorageLimit, start), stay, call, cancellationToken);
    }

    /// <summary>For calls that take the connection as it is: it is there when this returns, and was waited for no longer than that.</summary>
    public async Task RequireConnectionAsync(string what, CancellationToken cancellationToken) => await OpenForStorageAsync(what, cancellationToken);

    private void RequireAnswers(string what)
    {
        if (_lanes.IsOverdue(Nobody, Lane.Storage))
        {
            throw StorageHangs(what);
        }
    }

    /// <summary>Closing the old connection and opening another take up to three times libvirt's own limit. Who asks about pools goes
    /// on without; the opening does too, for whoever asks next, and ends with this object.</summary>
    private async Task<LibvirtSession> OpenForStorageAsync(string what, CancellationToken cancellationToken)
    {
        if (_forStorage is not { Session.IsCompleted: false } opening)
        {
            _forStorage = opening = new Opening(GetSessionAsync(_ending.Token).AsTask(), _time.GetTimestamp());
        }

        TimeSpan left = _settings.StorageLimit - _time.GetElapsedTime(opening.Began);
        try
        {
            return opening.Session.IsCompleted || left > TimeSpan.Zero
                ? await opening.Session.WaitAsync(left > TimeSpan.Zero ? left : LeastLimit, _time, cancellationToken)
                : throw NoConnection(what);
        }
        catch (TimeoutException)
        {
            throw NoConnection(what);
        }
    }

    private static HypervisorException StorageHangs(string what) => new(
        HypervisorFault.Busy,
        $"could not {what}: an earlier question about storage pools has not been answered",
        "The server or disk of a pool does not answer: virsh pool-list, then df of each pool's folder.");

    private static HypervisorException NoConnection(string what) => new(
        HypervisorFault.Busy, $"could not {what}: libvirt has not opened another connection yet", "See why libvirtd does not answer: virsh list, journalctl -u libvirtd.");

    private sealed record Opening(Task<LibvirtSession> Session, long Began);
}
