using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Nbd;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Hosting;

/// <summary>Opens what a view server shows: a disk as it was at a point.</summary>
internal interface IViews
{
    ValueTask<IBlockDevice> OpenAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken);
}

/// <summary>
/// Serves the disks of held recovery points over NBD on a UNIX socket. A point is held by a run (test, failover, export)
/// and by nobody else, so that nothing is served that no list shows. Each connection has views of its own, closed when
/// it ends. Clients are processes of ours that reconnect, so a restart of the agent is a pause for them and no more.
/// </summary>
internal sealed class ViewServer(IViews views, ILocalSockets sockets, string path, TimeProvider time, ILogger logger)
{
    /// <summary>A run daemon takes one connection a disk, an export one; hundreds mean a client gone mad.</summary>
    private const int MaxConnections = 256;

    private static readonly NbdServerOptions Options = new() { MaxConnections = MaxConnections };

    private readonly Dictionary<Guid, ViewHold> _holds = [];
    private readonly Lock _lock = new();
    private readonly List<Task> _connections = [];
    private CancellationTokenSource? _serving; // Of the connections since the last pause; never disposed, it holds nothing.
    private bool _paused;
    private bool _closed;

    /// <summary>From now on the point's disks are served, until this owner releases them. Twice is once.</summary>
    /// <exception cref="RefusedException">The views of this replica have ended for a commit.</exception>
    public void Hold(Guid owner, RecoveryPointId point, string what)
    {
        lock (_lock)
        {
            if (_closed)
            {
                throw new RefusedException(
                    RefusalCode.NoSuchReplica, "The views of this replica have ended: its base belongs to the failed-over VM now.", "Test and export before committing.");
            }

            _holds[owner] = new ViewHold(point, what);
        }
    }

    /// <summary>New connections to the point are refused, unless another owner holds it. No error when it held nothing.</summary>
    public void Release(Guid owner)
    {
        lock (_lock)
        {
            _holds.Remove(owner);
        }
    }

    /// <summary>Ends serving for good, unless somebody else than <paramref name="owner"/> holds a point: then says who.</summary>
    public string? TryClose(Guid owner)
    {
        lock (_lock)
        {
            foreach ((Guid other, ViewHold hold) in _holds)
            {
                if (other != owner)
                {
                    return hold.What;
                }
            }

            _holds.Clear();
            _closed = true;
            return null;
        }
    }

    /// <summary>Accepts and serves until cancelled; when it returns, every view it opened is closed.</summary>
    /// <param name="serves">Told when clients can connect.</param>
    public async Task RunAsync(Action serves, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using ILocalListener listener = await sockets.ListenAsync(path, cancellationToken);
        serves();
        try
        {
            while (true)
            {
                Task[] connections = Connections();
                if (connections.Length >= MaxConnections)
                {
                    await await Task.WhenAny(connections);
                    continue;
                }

                Begin(await listener.AcceptAsync(cancellationToken), stop.Token);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop.
        }
        finally
        {
            stop.Cancel();
            await Task.WhenAll(Connections()); // A bug in one connection is heard here.
        }
    }

    /// <summary>
    /// Ends every connection without an answer, and serves nobody until <see cref="Resume"/>: to the daemons that is a server
    /// that went away, for which they wait. When it returns no view is open.
    /// </summary>
    public async ValueTask PauseAsync()
    {
        Task[] ending;
        CancellationTokenSource? serving;
        lock (_lock)
        {
            _paused = true;
            (serving, _serving) = (_serving, null);
            ending = [.. _connections];
        }

        serving?.Cancel();
        await Task.WhenAll(ending);
    }

    public void Resume()
    {
        lock (_lock)
        {
            _paused = false;
        }
    }

    private Task[] Connections()
    {
        lock (_lock)
        {
            _connections.RemoveAll(static connection => connection.IsCompletedSuccessfully);
            return [.. _connections];
        }
    }

    private void Begin(Stream stream, CancellationToken stop)
    {
        lock (_lock)
        {
            if (_paused)
            {
                stream.Dispose();
                return;
            }

            CancellationTokenSource serving = _serving ?? new CancellationTokenSource();
            _serving = serving;
            _connections.Add(ServeAsync(stream, serving.Token, stop));
        }
    }

    private async Task ServeAsync(Stream stream, CancellationToken pause, CancellationToken stop)
    {
        await Task.Yield(); // Begun under the lock.
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(pause, stop);
        await using ConnectionViews mine = new(this);
        await new NbdServer(mine, Options, time, logger).ServeAsync(stream, either.Token);
    }

    private bool IsHeld(RecoveryPointId point)
    {
        lock (_lock)
        {
            return _holds.Values.Any(hold => hold.Point == point);
        }
    }

    /// <summary>The views of one connection. Used by its loop alone.</summary>
    private sealed class ConnectionViews(ViewServer server) : INbdExports, IAsyncDisposable
    {
        private readonly List<(string Name, IBlockDevice View)> _open = [];

        public async ValueTask<NbdExport?> FindAsync(string name, CancellationToken cancellationToken)
        {
            if (_open.FirstOrDefault(open => open.Name == name) is { View: not null } known)
            {
                return new NbdExport(known.View);
            }

            if (!ViewExportName.TryParse(name, out RecoveryPointId point, out DiskId disk) || !server.IsHeld(point))
            {
                return null;
            }

            try
            {
                IBlockDevice view = await server.OpenAsync(point, disk, cancellationToken);
                _open.Add((name, view));
                return new NbdExport(view);
            }
            catch (UnderstudyException fault)
            {
                Log.ViewNotOpened(server.Logger, name, fault.Message);
                return null; // The client tries again for as long as its reconnect delay.
            }
        }

        public ValueTask<IReadOnlyList<string>?> ListAsync(CancellationToken cancellationToken) => new((IReadOnlyList<string>?)null);

        public async ValueTask DisposeAsync()
        {
            foreach ((string name, IBlockDevice view) in _open)
            {
                try
                {
                    await view.DisposeAsync();
                }
                catch (StorageException fault)
                {
                    Log.ViewNotClosed(server.Logger, name, fault.Message); // It cleans up behind itself; the next opening of the replica does what is left.
                }
            }
        }
    }

    private ILogger Logger => logger;

    private sealed record ViewHold(RecoveryPointId Point, string What);

    private ValueTask<IBlockDevice> OpenAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken) =>
        views.OpenAsync(point, disk, cancellationToken);
}
