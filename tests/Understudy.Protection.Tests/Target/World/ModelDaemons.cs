using Understudy.Blocks;
using Understudy.Nbd;
using Understudy.Protection.Ports;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>Storage daemons of the host. One that serves views connects when it starts, and does not start when nobody answers.</summary>
internal sealed class ModelDaemons(ModelHost host, ModelSockets sockets) : IStorageDaemons
{
    public async ValueTask<StorageDaemonFacts> EnsureAsync(StorageDaemonSpec spec, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            if (host.Daemons.TryGetValue(spec.Name, out StorageDaemonSpec? running) && running == spec)
            {
                return new StorageDaemonFacts(spec.Name, host.ProcessOf(spec.Name), Adopted: true);
            }

            host.Daemons.Remove(spec.Name);
        }

        await sockets.CloseServedByAsync(spec.SocketPath);
        foreach (StorageExport export in spec.Exports)
        {
            if (export.Backing is StorageBacking.Nbd server)
            {
                Stream stream = await sockets.ConnectAsync(server.SocketPath, cancellationToken);
                await using NbdClient client = await NbdClient.ConnectAsync(stream, new NbdClientOptions { Export = server.ExportName }, cancellationToken);
            }
        }

        lock (host.Lock)
        {
            host.Daemons[spec.Name] = spec;
            return new StorageDaemonFacts(spec.Name, host.NewProcess(spec.Name), Adopted: false);
        }
    }

    public async ValueTask StopAsync(string name, string socketPath, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            host.Daemons.Remove(name);
        }

        await sockets.CloseServedByAsync(socketPath);
    }

    public ValueTask<StorageDaemonFacts?> FindAsync(string name, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            return new(host.Daemons.ContainsKey(name) ? new StorageDaemonFacts(name, host.ProcessOf(name), Adopted: true) : null);
        }
    }

    public ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            return new([.. host.Daemons.Keys]);
        }
    }
}

/// <summary>Images of a model daemon, as exports.</summary>
internal sealed class ModelExports(ModelHost host, ModelSockets sockets, StorageDaemonSpec daemon) : INbdExports, IAsyncDisposable
{
    private readonly List<NbdClient> _below = [];

    public async ValueTask DisposeAsync()
    {
        foreach (NbdClient client in _below)
        {
            await client.DisposeAsync();
        }
    }

    public async ValueTask<NbdExport?> FindAsync(string name, CancellationToken cancellationToken)
    {
        StorageExport? export = daemon.Exports.FirstOrDefault(export => export.Name == name);
        switch (export?.Backing)
        {
            case StorageBacking.Image image:
                MemoryBlockDevice disk = host.Image(image.Path).Disk;
                return new NbdExport(export.Writable ? disk : new ReadOnlyDevice(disk));
            case StorageBacking.Nbd server:
                Stream stream = await sockets.ConnectAsync(server.SocketPath, cancellationToken);
                NbdClient client = await NbdClient.ConnectAsync(stream, new NbdClientOptions { Export = server.ExportName }, cancellationToken);
                _below.Add(client);
                return new NbdExport(client);
            default:
                return null;
        }
    }

    public ValueTask<IReadOnlyList<string>?> ListAsync(CancellationToken cancellationToken) => new((IReadOnlyList<string>?)null);
}
