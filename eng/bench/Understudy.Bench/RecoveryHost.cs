using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Qemu;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Bench;

/// <summary>
/// The target's half: one real replica on a folder (every flush reaches the disk), its base behind a real
/// qemu-storage-daemon, and the receiver behind TCP on the loopback interface.
/// </summary>
internal sealed class RecoveryHost : IReplicaDirectory, IPeerConnector, IAsyncDisposable
{
    private static readonly Guid Agent = Guid.NewGuid();

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ReplicaHost _replica;
    private Task _running = Task.CompletedTask;

    private RecoveryHost(ReplicaHost replica) => _replica = replica;

    public ReplicaHost Replica => _replica;

    public static async Task<RecoveryHost> StartAsync(BenchHost host, VmId vm, string vmName, LineId line, CancellationToken cancellationToken)
    {
        foreach (string folder in (string[])["journal", "state", "guest-log"])
        {
            Directory.CreateDirectory(host.At(folder));
        }

        StorageDaemons daemons = new(host.Qemu, NullLogger<StorageDaemons>.Instance);
        TargetServices services = new(
            host.Hypervisor,
            daemons,
            host.Images,
            new HostDevices(host.Qemu, daemons),
            new LocalSockets(),
            TimeProvider.System,
            SystemIds.Instance,
            new OwnershipServices(new GuardFolder(new FolderStore(Directory.CreateDirectory(host.At("guard")).FullName), "bench", 0), "bench", TimeProvider.System, NullLogger.Instance),
            new TargetSettings { RuntimeFolder = host.At("views"), LogFolder = host.At("guest-log") },
            NullLogger.Instance);
        ReplicaStores stores = new(new FolderStore(host.At("journal")), new FolderStore(host.At("state")));
        ReplicaSpec spec = new(new ReplicaId(Guid.NewGuid()), vm, vmName, vmName, Agent, line, host.At("pool"), TimeSpan.FromHours(1));
        RecoveryHost recovery = new(await ReplicaHost.CreateAsync(services, stores, spec, cancellationToken));
        recovery._listener.Start();
        recovery._running = Task.WhenAll(recovery._replica.RunAsync(recovery._stop.Token), recovery.ServeAsync());
        return recovery;
    }

    public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(_listener.LocalEndpoint, cancellationToken);
        return new NetworkStream(socket, ownsSocket: true);
    }

    public ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken) =>
        ValueTask.FromResult<DirectoryAnswer>(new DirectoryAnswer.Found(
            _replica.TryGetSink() ?? throw new InvalidOperationException("the replica takes no records")));

    /// <summary>Command to running, of a test failover without networks.</summary>
    public Task<TestStarted> StartTestAsync(Guid id, RecoveryPointId point, CancellationToken cancellationToken) =>
        _replica.StartTestAsync(new TestRequest(id, point, "bench-test", TestNetworkKind.None, []), cancellationToken).AsTask();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _running;
        await _replica.DisposeAsync();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        ReplicationReceiver receiver = new(this, "bench", TimeProvider.System, NullLogger<ReplicationReceiver>.Instance);
        try
        {
            while (true)
            {
                using TcpClient client = await _listener.AcceptTcpClientAsync(_stop.Token);
                client.NoDelay = true;
                await receiver.ServeAsync(client.GetStream(), Agent, _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Asked to stop.
        }
    }
}
