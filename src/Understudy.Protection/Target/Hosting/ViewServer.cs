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
        List<Task> connections = [];
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using ILocalListener listener = await sockets.ListenAsync(path, cancellationToken);
        serves();
        try
        {
            while (true)
            {
                connections.RemoveAll(static connection => connection.IsCompletedSuccessfully);
                if (connections.Count >= MaxConnections)
                {
                    await await Task.WhenAny(connections);
                    continue;
                }

                connections.Add(ServeAsync(await listener.AcceptAsync(cancellationToken), stop.Token));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop.
        }
        finally
        {
            stop.Cancel();
            await Task.WhenAll(connections); // A bug in one connection is heard here.
        }
    }

    private async Task ServeAsync(Stream stream, CancellationToken cancellationToken)
    {
        await using ConnectionViews mine = new(this);
        await new NbdServer(mine, Options, time, logger).ServeAsync(stream, cancellationToken);
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
            foreach ((_, IBlockDevice view) in _open)
            {
                await view.DisposeAsync();
            }
        }
    }

    private ILogger Logger => logger;

    private sealed record ViewHold(RecoveryPointId Point, string What);

    private ValueTask<IBlockDevice> OpenAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken) =>
        views.OpenAsync(point, disk, cancellationToken);
}
