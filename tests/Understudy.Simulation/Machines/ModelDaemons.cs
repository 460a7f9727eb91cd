using Understudy.Blocks;
using Understudy.Nbd;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Machines;

/// <summary>A storage daemon of a host: a process of its own, which outlives the agent that started it.</summary>
internal sealed class ModelDaemon(ModelMachine machine, StorageDaemonSpec spec)
{
    private readonly ModelMachine _machine = machine;
    private readonly TaskCompletionSource<StorageException?> _ready = new();
    private readonly Dictionary<string, NbdNode> _nodes = new(StringComparer.Ordinal);

    public StorageDaemonSpec Spec { get; } = spec;

    public SimProcess Process { get; private set; } = machine.Simulator.Root;

    /// <summary>Completes when its socket answers, or with the reason why it ended instead.</summary>
    public Task<StorageException?> Ready => _ready.Task;

    public bool Exports(string image, bool forWriting) =>
        Spec.Exports.Any(e => e.Backing is StorageBacking.Image open && open.Path == image && (e.Writable || !forWriting));

    public void Start()
    {
        Process = _machine.Host.Start($"qsd-{Spec.Name}", RunAsync);
        Process.AtEnd(_ =>
        {
            _machine.Forget(this);
            _ready.TrySetResult(new StorageException(FaultKind.Io, Spec.SocketPath, "the storage daemon ended (simulated)"));
        });
    }

    private async Task RunAsync(SimProcess self)
    {
        try
        {
            foreach (StorageExport export in Spec.Exports)
            {
                if (export.Backing is StorageBacking.Nbd view)
                {
                    NbdNode node = new(_machine, self, view.SocketPath, view.ExportName, view.ReconnectDelay);
                    await node.ConnectAsync();
                    _nodes[export.Name] = node;
                }
                else if (export.Backing is StorageBacking.Image image)
                {
                    _machine.RequireLock(image.Path, export.Writable, this);
                }
            }
        }
        catch (StorageException refused)
        {
            _ready.TrySetResult(refused);
            return;
        }

        using SimLocalListener listener = _machine.Sockets.Listen(self, Spec.SocketPath);
        _ready.TrySetResult(null);
        var server = new NbdServer(new DaemonExports(this, self), new NbdServerOptions(), self.Time);
        while (true)
        {
            Serve(server, await listener.AcceptAsync(default));
        }
    }

    private static async void Serve(NbdServer server, Stream stream) => await server.ServeAsync(stream, default);

    private IBlockDevice? Open(string name, SimProcess self)
    {
        if (Spec.Exports.FirstOrDefault(e => e.Name == name) is not { } export)
        {
            return null;
        }

        return export.Backing is StorageBacking.Image image
            ? _machine.OpenImage(image.Path, self, readOnly: !export.Writable)
            : new NodeDevice(_nodes[name]);
    }

    private sealed class DaemonExports(ModelDaemon daemon, SimProcess self) : INbdExports
    {
        public ValueTask<NbdExport?> FindAsync(string name, CancellationToken cancellationToken) =>
            new(daemon.Open(name, self) is { } device ? new NbdExport(device) : null);

        public ValueTask<IReadOnlyList<string>?> ListAsync(CancellationToken cancellationToken) => new((IReadOnlyList<string>?)null);
    }
}

/// <summary>One agent process's way to the host's storage daemons.</summary>
internal sealed class ModelDaemons(ModelMachine machine, SimProcess agent) : IStorageDaemons
{
    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _agent = agent;

    public async ValueTask<StorageDaemonFacts> EnsureAsync(StorageDaemonSpec spec, CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        if (_machine.Daemons.TryGetValue(spec.Name, out ModelDaemon? running))
        {
            if (running.Spec == spec && await running.Ready is null)
            {
                return new StorageDaemonFacts(spec.Name, running.Process.Number, Adopted: true);
            }

            await EndAsync(running);
        }

        var daemon = new ModelDaemon(_machine, spec);
        _machine.Daemons[spec.Name] = daemon;
        daemon.Start();
        if (await daemon.Ready is { } failed)
        {
            throw new ImageToolException(FaultClass.Transient, $"storage daemon {spec.Name} did not start: {failed.Message}", inner: failed);
        }

        return new StorageDaemonFacts(spec.Name, daemon.Process.Number, Adopted: false);
    }

    public async ValueTask StopAsync(string name, string socketPath, CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        if (_machine.Daemons.TryGetValue(name, out ModelDaemon? running))
        {
            await EndAsync(running);
        }
    }

    public async ValueTask<StorageDaemonFacts?> FindAsync(string name, CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        return _machine.Daemons.TryGetValue(name, out ModelDaemon? running) ? new StorageDaemonFacts(name, running.Process.Number, Adopted: true) : null;
    }

    public async ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        return [.. _machine.Daemons.Keys];
    }

    private static async Task EndAsync(ModelDaemon daemon)
    {
        daemon.Process.Kill();
        await daemon.Process.Ended;
    }
}

/// <summary>What a daemon relays from another server; it is never written.</summary>
internal sealed class NodeDevice(NbdNode node) : IBlockDevice
{
    private readonly NbdNode _node = node;

    public long SizeBytes => _node.SizeBytes;

    public bool IsReadOnly => true;

    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) => await _node.ReadAsync(offsetBytes, buffer);

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw ReadOnly();

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw ReadOnly();

    public ValueTask FlushAsync(CancellationToken cancellationToken) => default;

    public ValueTask DisposeAsync() => default;

    private StorageException ReadOnly() => new(FaultKind.Denied, _node.Export, "is read-only");
}
