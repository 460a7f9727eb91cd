using Understudy.Blocks;
using Understudy.Nbd;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;
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
        Spec.Exports.Any(e => PathOf(e.Backing) == image && (e.Writable || !forWriting));

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
                await OpenAsync(self, export.Name, export.Backing, export.Writable);
            }
        }
        catch (StorageException refused)
        {
            _ready.TrySetResult(refused);
            return;
        }

        if (Spec.SocketPath.Length == 0)
        {
            _ready.TrySetResult(null);
            await LookAtDevicesAsync(self);
            await new TaskCompletionSource().Task; // Until it is killed.
        }

        using SimLocalListener listener = _machine.Sockets.Listen(self, Spec.SocketPath);
        _ready.TrySetResult(null);
        var server = new NbdServer(new DaemonExports(this, self), new NbdServerOptions(), self.Time);
        while (true)
        {
            Serve(server, await listener.AcceptAsync(default));
        }
    }

    private async Task OpenAsync(SimProcess self, string export, StorageBacking backing, bool writable)
    {
        switch (backing)
        {
            case StorageBacking.Nbd view:
                NbdNode node = new(_machine, self, view.SocketPath, view.ExportName, view.ReconnectDelay);
                await node.ConnectAsync();
                _nodes[export] = node;
                break;
            case StorageBacking.Image image:
                _machine.RequireLock(image.Path, writable, this);
                break;
            case StorageBacking.Overlay overlay:
                _machine.RequireLock(overlay.Path, writable, this);
                await OpenAsync(self, export, overlay.Below, writable: false);
                break;
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    /// <summary>Somebody reads what is shown as devices of the host, all of it and at once.</summary>
    private async Task LookAtDevicesAsync(SimProcess self)
    {
        try
        {
            foreach (StorageExport export in Spec.Exports)
            {
                NbdNode node = _nodes[export.Name];
                ModelImage? top = PathOf(export.Backing) is { } path ? _machine.Image(path) : null;
                DiskImage? expected = top is null ? _machine.ExpectedOf(new ImageBacking.Nbd(node.Socket, node.Export)) : top.Expected;
                for (int block = 0; expected is not null && block < expected.BlockCount; block++)
                {
                    byte[] content = await ReadAsync(export.Backing, node, block);
                    if (!content.AsSpan(0, expected.Block(block).Length).SequenceEqual(expected.Block(block)))
                    {
                        _machine.Context.Violations.Report("mount", $"a device of {self.Name} shows a wrong block {block} of {node.Export}");
                    }
                }
            }
        }
        catch (StorageException)
        {
            // What it stands on has failed or ended: whoever reads a device sees an error.
        }
    }

    private async Task<byte[]> ReadAsync(StorageBacking backing, NbdNode node, int block)
    {
        byte[] content = new byte[BlockSize.Bytes];
        if (backing is StorageBacking.Overlay overlay)
        {
            if (_machine.Image(overlay.Path).Layer is var layer && (block >= layer.BlockCount || layer.IsHole(block)))
            {
                return await ReadAsync(overlay.Below, node, block);
            }

            layer.Block(block).CopyTo(content);
            return content;
        }

        long start = (long)block * BlockSize.Bytes;
        if (start < node.SizeBytes)
        {
            await node.ReadAsync(start, content.AsMemory(0, (int)Math.Min(BlockSize.Bytes, node.SizeBytes - start)));
        }

        return content;
    }

    private static string? PathOf(StorageBacking backing) => backing switch
    {
        StorageBacking.Image image => image.Path,
        StorageBacking.Overlay overlay => overlay.Path,
        _ => null,
    };

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
