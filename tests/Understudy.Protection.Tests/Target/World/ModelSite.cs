using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Runs;
using Understudy.Qemu.Tests.Recovery;
using Understudy.Testing;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>A recovery host made of models, one replica on it, and agents that die and are followed by others.</summary>
internal sealed class ModelSite : IAsyncDisposable
{
    public const int DiskBytes = 4 * SourceFeed.BlockBytes;

    /// <summary>A loop's rounds are milliseconds apart.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly FailingStore _journal = new(new MemoryFileStore());
    private readonly MemoryFileStore _state = new();
    private readonly SeededIdSource _ids = new(1);
    private readonly ModelSockets _sockets;
    private CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    public ModelSite()
    {
        _sockets = new ModelSockets(Machine);
        Hypervisor = new ModelHypervisor(Machine, _sockets);
    }

    public ModelHost Machine { get; } = new();

    public ShiftedTime Time { get; } = new();

    public ModelHypervisor Hypervisor { get; }

    public SourceFeed Source { get; } = new(seed: 5, DiskBytes);

    public Life Life { get; private set; } = Life.Forever();

    public ReplicaHost Host { get; private set; } = null!; // Set by CreateAsync.

    public IFileStore State => _state;

    /// <summary>What was raised, by whatever agent.</summary>
    public RaisedEvents Events { get; } = new();

    public FailingStore Journal => _journal;

    public static TestRequest Test(RecoveryPointId point) => new(new Guid(7, 0, 0, new byte[8]), point, "web1-test", TestNetworkKind.Bubble, []);

    public static FailoverRequest Failover(RecoveryPointId point) => new(point, "web1", [new CardPlan("52:54:00:aa:bb:01", "office-here")]);

    /// <summary>A replica with its geometry and definition; its agent lives until somebody ends it.</summary>
    public async Task CreateAsync()
    {
        ReplicaSpec spec = new(
            new ReplicaId(Guid.Parse("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")), SourceFeed.Vm, "web1", "web1", Guid.Empty, SourceFeed.Line, "/pool/web1", TimeSpan.FromHours(1));
        Host = await ReplicaHost.CreateAsync(Services(), Stores(), spec, CancellationToken.None);
        Run();
        await Source.BeginAsync(Host.Sink);
    }

    /// <summary>The agent is gone, in the middle of whatever it did; the next one finds what it left. False when nothing
    /// is left to find.</summary>
    public async Task<bool> NextAgentAsync(Life life)
    {
        await EndAgentAsync();
        Life = life;
        _stop = new CancellationTokenSource();
        if (await ReplicaHost.OpenAsync(Services(), Stores(), CancellationToken.None) is not { } host)
        {
            return false;
        }

        Host = host;
        Run();
        return true;
    }

    /// <summary>The host loses power and boots; its next agent finds what is on disk.</summary>
    public async Task RebootAsync(Life life)
    {
        await EndAgentAsync();
        Machine.Reboot("boot-2");
        Assert.True(await NextAgentAsync(life));
    }

    /// <summary>Until it is so, with the loops of whatever agent lives; one that died is followed by another.</summary>
    /// <returns>Whether one died.</returns>
    public async Task<bool> UntilAsync(Func<bool> holds, string what)
    {
        bool died = false;
        long began = Stopwatch.GetTimestamp();
        while (!holds())
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, $"{what} does not come to be: {Host.Status.Error?.Message ?? "no error"}, step {Host.Status.Failover?.Step}");
            if (Life.IsOver)
            {
                died = true;
                Assert.True(await NextAgentAsync(Life.Forever()));
            }

            await Task.Delay(1);
        }

        return died;
    }

    public async Task EndLoopsAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    /// <summary>Blocks of a disk as they stand in its base image.</summary>
    public byte[] BaseContent(int disk) => Machine.Image($"/pool/web1/{(disk == 0 ? "vda-0" : "vdb-1")}.qcow2").Disk.Content.ToArray();

    public async ValueTask DisposeAsync()
    {
        await EndAgentAsync();
        Source.Dispose();
    }

    /// <summary>Nothing is tidied up.</summary>
    private async Task EndAgentAsync()
    {
        Life.End();
        _sockets.AgentDied();
        await EndLoopsAsync();
    }

    private void Run() => _running = Host.RunAsync(_stop.Token);

    private ReplicaStores Stores() => new(_journal, Mortal<IFileStore>.Of(_state, Life));

    private TargetServices Services() => new(
        Mortal<IHypervisor>.Of(Hypervisor, Life),
        Mortal<IStorageDaemons>.Of(new ModelDaemons(Machine, _sockets), Life),
        Mortal<IImageTool>.Of(new ModelImageTool(Machine, _sockets), Life),
        Mortal<IHostDevices>.Of(new ModelDevices(Machine), Life),
        _sockets,
        Time,
        _ids,
        new OwnershipServices(Mortal<IStartGuard>.Of(new ModelGuard(Machine), Life), Machine.Boot, Time, NullLogger.Instance),
        new TargetSettings
        {
            RuntimeFolder = "/run/understudy",
            LogFolder = "/var/log/understudy",
            WatchEvery = TimeSpan.FromMilliseconds(20),
            HousekeepingEvery = TimeSpan.FromMilliseconds(5),
            JobPollEvery = TimeSpan.FromMilliseconds(1),
        },
        NullLogger.Instance)
    {
        News = Events,
    };
}

internal sealed class RaisedEvents : ISourceEvents
{
    private readonly System.Collections.Concurrent.ConcurrentQueue<SourceEvent> _all = new();

    public IReadOnlyCollection<SourceEvent> All => _all;

    public void Raise(SourceEvent happened) => _all.Enqueue(happened);
}
