using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Connection;

/// <summary>
/// Opens the connection when it is needed, replaces it when it has ended, and runs calls on it. A call is never repeated
/// here: whether a call that failed in the middle took effect is for the caller to read back.
/// </summary>
internal sealed partial class LibvirtConnection : IAsyncDisposable
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan LeastLimit = TimeSpan.FromSeconds(1);

    /// <summary>Libvirt's own limit is five requests of a client (max_client_requests); beyond it keepalive is not answered.</summary>
    private const int MostOverdueQueries = 2;

    /// <summary>The lane of calls that concern no VM.</summary>
    private static readonly VmId Nobody = new(Guid.Empty);

    private readonly LibvirtSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CallQueue _queue;
    private readonly DomainLanes _lanes = new();
    private readonly AsyncGate _opening = new();
    private LibvirtSession? _session;
    private bool _disposed;

    public LibvirtConnection(LibvirtSettings settings, TimeProvider time, ILogger logger, int threads = CallQueue.ThreadCount)
    {
        _settings = settings;
        _time = time;
        _logger = logger;
        _queue = new CallQueue(time, logger, threads);
    }

    public EventHub Events { get; } = new();

    public ILogger Logger => _logger;

    /// <summary>Keeps the connection, and with it the events, alive until the token ends it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstRetry;
        while (true)
        {
            try
            {
                LibvirtSession session = await GetSessionAsync(cancellationToken);
                pause = FirstRetry;
                await session.Closed.WaitAsync(cancellationToken);
            }
            catch (HypervisorException unreachable)
            {
                _logger.StillUnreachable(pause.TotalSeconds, unreachable.Message);
                await Task.Delay(pause, _time, cancellationToken);
                pause = pause * 2 > LongestRetry ? LongestRetry : pause * 2;
            }
        }
    }

    public async Task<T> CallAsync<T>(string what, TimeSpan limit, Func<ConnectHandle, T> call, CancellationToken cancellationToken)
    {
        LibvirtSession session = await GetSessionAsync(cancellationToken);
        return await RunAsync(session, what, limit, null, () => call(session.Connect), cancellationToken);
    }

    /// <summary>Runs a call on a domain, found by its id, alone in its lane. The limit covers waiting and the call.</summary>
    public async Task<T> OnDomainAsync<T>(VmId vm, Lane lane, string what, TimeSpan limit, Func<DomainHandle, T> call, CancellationToken cancellationToken)
    {
        LibvirtSession session = await GetSessionAsync(cancellationToken);
        long start = _time.GetTimestamp();
        string whole = $"{what} of VM {vm}";
        DomainLanes.Stay? stay = await EnterAsync(vm, lane, whole, limit, cancellationToken);
        return await RunAsync(
            session,
            whole,
            Remaining(limit, start),
            stay,
            () =>
            {
                using DomainHandle domain = NativeResult.Check(LibvirtLibrary.DomainLookupByUuid(session.Connect, vm.ToString()));
                return call(domain);
            },
            cancellationToken);
    }

    /// <summary>False while earlier questions of this kind hang, of this VM or of a few others: one more would not be answered
    /// and would take libvirt's room from calls that are.</summary>
    public bool MayAskForSizes(VmId vm) => !_lanes.IsOverdue(vm, Lane.Query) && _lanes.CountOverdue(Lane.Query) < MostOverdueQueries;

    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            await _ending.CancelAsync(); // An opening that goes on for nobody gives its gate back.
        }

        using (await _opening.EnterAsync(CancellationToken.None))
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            await CloseAsync(Interlocked.Exchange(ref _session, null));
        }

        await _queue.DisposeAsync();
        _ending.Dispose();
    }

    /// <summary>A call that got its turn in the last moment still has one second.</summary>
    private TimeSpan Remaining(TimeSpan limit, long start)
    {
        TimeSpan left = limit - _time.GetElapsedTime(start);
        return left > LeastLimit ? left : LeastLimit;
    }

    private async Task<DomainLanes.Stay?> EnterAsync(VmId vm, Lane lane, string what, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var expiry = new CancellationTokenSource(limit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(expiry.Token, cancellationToken);
        try
        {
            return await _lanes.EnterAsync(vm, lane, either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            _lanes.MarkOverdue(vm, lane); // Whoever called there may have gone long ago.
            throw lane == Lane.Storage ? StorageHangs(what) : new HypervisorException(
                HypervisorFault.Busy,
                $"could not {what}: an earlier call has not ended within {limit.TotalSeconds:0} s",
                "Libvirt hangs, often because a QEMU does: virsh domstate VM --reason, journalctl -u libvirtd.");
        }
    }

    /// <param name="session">On which the call is made; null for one that needs no libvirt.</param>
    private async Task<T> RunAsync<T>(
        LibvirtSession? session, string what, TimeSpan limit, DomainLanes.Stay? held, Func<T> call, CancellationToken cancellationToken)
    {
        try
        {
            return await _queue.RunAsync(what, limit, held, call, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            held?.MarkOverdue(); // Given up, as below: nobody is left who would see that it takes too long.
            throw;
        }
        catch (HypervisorException given) when (given.Fault == HypervisorFault.TimedOut)
        {
            held?.MarkOverdue();
            throw;
        }
        catch (LibvirtException error)
        {
            if (error.FromConnection)
            {
                session?.MarkClosed(error.Message);
            }

            throw Faults.From(error, what);
        }
    }

    private async ValueTask<LibvirtSession> GetSessionAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _session) is { Closed.IsCompleted: false } alive)
        {
            return alive;
        }

        using AsyncGate.Pass inside = await _opening.EnterAsync(cancellationToken);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_session is { Closed.IsCompleted: false } opened)
        {
            return opened;
        }

        if (_session is { } ended)
        {
            string reason = await ended.Closed;
            _logger.Disconnected(_settings.Uri, reason);
            _session = null;
            Events.Publish(new VmEvent(VmEventKind.Disconnected, null, null, reason));
            await CloseAsync(ended);
        }

        LibvirtSession session = await OpenAsync(cancellationToken);
        Volatile.Write(ref _session, session);
        _logger.Connected(_settings.Uri);
        Events.Publish(new VmEvent(VmEventKind.Connected, null, null, _settings.Uri));
        return session;
    }

    private async Task<LibvirtSession> OpenAsync(CancellationToken cancellationToken)
    {
        string what = $"connect to libvirt at {_settings.Uri}";
        try
        {
            EventLoop.Ensure(_logger);
            // In a lane too: while libvirtd takes connections but does not answer, one thread waits for it, not all.
            DomainLanes.Stay? stay = await EnterAsync(Nobody, Lane.Job, what, _settings.QueryLimit, cancellationToken);
            return await _queue.RunAsync(what, _settings.QueryLimit, stay, () => LibvirtSession.Open(_settings.Uri, Events), cancellationToken);
        }
        catch (LibvirtException error)
        {
            throw new HypervisorException(
                HypervisorFault.Unreachable, $"could not {what}: {error.Message}", "Is libvirtd running and its socket readable? Try: virsh -c URI list.", error);
        }
        catch (DllNotFoundException missing)
        {
            throw new HypervisorException(HypervisorFault.Unreachable, $"could not {what}: {missing.Message}", "Install libvirt's client library (package libvirt0).", missing);
        }
    }

    private async Task CloseAsync(LibvirtSession? session)
    {
        if (session is null)
        {
            return;
        }

        try
        {
            await _queue.RunAsync<object?>(
                "close the connection",
                _settings.QueryLimit,
                null,
                () =>
                {
                    session.Dispose();
                    return null;
                },
                CancellationToken.None);
        }
        catch (HypervisorException hung)
        {
            _logger.StillUnreachable(0, hung.Message); // Its thread is lost until libvirt lets go; a new connection is independent of it.
        }
    }
}
