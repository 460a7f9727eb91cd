using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Libvirt;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Runs;
using Understudy.Testing;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>A recovery host with real libvirt, QEMU and disks, one replica, and an agent that can be killed and started.</summary>
internal sealed class RecoverySite : IAsyncDisposable
{
    public const string ProductionNetwork = "office-here";

    private readonly SeededIdSource _ids = new(1);
    private CuttableSockets _sockets = new();
    private CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private FailingStore? _journal;

    private RecoverySite(PrivateHost libvirtHost)
    {
        Folder = Directory.CreateTempSubdirectory("us-rec-").FullName;
        File.SetUnixFileMode(Folder, (UnixFileMode)0b111_101_101); // QEMU's user passes through.
        foreach (string folder in (string[])["journal", "state", "log", "guard"])
        {
            Directory.CreateDirectory(At(folder));
        }

        Settings = new QemuSettings { DaemonFolder = At("daemons") };
        LibvirtSettings libvirt = new() { Uri = libvirtHost.Uri, ScratchFolder = At("scratch") };
        Hypervisor = new LibvirtHypervisor(libvirt, TimeProvider.System, _ids, new ImageTool(Settings), NullLogger.Instance);
        Daemons = new StorageDaemons(Settings, NullLogger<StorageDaemons>.Instance);
    }

    public string Folder { get; }

    public LibvirtHypervisor Hypervisor { get; }

    public QemuSettings Settings { get; }

    public StorageDaemons Daemons { get; }

    public SourceFeed Source { get; } = new(seed: 77, diskBytes: 16 * 1024 * 1024);

    public ReplicaHost Host { get; private set; } = null!; // Set by CreateAsync.

    public FailingStore Journal => _journal ??= new FailingStore(new FolderStore(At("journal")));

    public static async Task<RecoverySite> CreateAsync(PrivateHost libvirtHost)
    {
        RecoverySite site = new(libvirtHost);
        await site.Hypervisor.CreateNetworkAsync($"<network><name>{ProductionNetwork}</name><bridge name='us-rec-office'/></network>", CancellationToken.None);
        ReplicaSpec spec = new(new ReplicaId(Guid.Parse("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")), SourceFeed.Vm, "web1", "web1", Guid.Parse("bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"), SourceFeed.Line, site.At("pool/web1"), TimeSpan.FromHours(1));
        site.Host = await ReplicaHost.CreateAsync(site.Services(site.Hypervisor), site.Stores(), spec, CancellationToken.None);
        site.Run();
        await site.Source.BeginAsync(site.Host.Sink);
        return site;
    }

    public string At(string name) => Path.Combine(Folder, name);

    /// <summary>The agent's process ends in the middle of whatever it does: nothing of it runs on, nothing is tidied up.</summary>
    public async Task KillAgentAsync()
    {
        _sockets.Cut();
        await _stop.CancelAsync();
        try
        {
            await _running;
        }
        catch (Exception dying) when (dying is not Xunit.Sdk.XunitException)
        {
            // It was killed.
        }
    }

    /// <summary>A new agent on what the old one left.</summary>
    public async Task StartAgentAsync(IHypervisor? hypervisor = null)
    {
        _sockets = new CuttableSockets();
        _stop = new CancellationTokenSource();
        Host = await ReplicaHost.OpenAsync(Services(hypervisor ?? Hypervisor), Stores(), CancellationToken.None) ?? throw new InvalidOperationException("no replica");
        Run();
    }

    public async Task StopAgentAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public static TestRequest Test(RecoveryPointId point, int number = 1) =>
        new(new Guid(number, 0, 0, new byte[8]), point, "web1-test", TestNetworkKind.Bubble, []);

    public static FailoverRequest Failover(RecoveryPointId point) =>
        new(point, "web1", [new CardPlan("52:54:00:aa:bb:01", ProductionNetwork)]);

    /// <summary>As the guest: through the front end of its disk.</summary>
    public async Task<string> GuestIoAsync(VmId vm, int disk, string command)
    {
        JsonObject request = new()
        {
            ["execute"] = "human-monitor-command",
            ["arguments"] = new JsonObject { ["command-line"] = $"qemu-io -d /machine/peripheral/virtio-disk{disk}/virtio-backend \"{command}\"" },
        };
        return await Hypervisor.MonitorCommandAsync(vm, request.ToJsonString(), CancellationToken.None);
    }

    public async Task GuestWriteAsync(VmId vm, int disk, byte pattern, long offset, long length) =>
        Assert.Equal("\"\"", await GuestIoAsync(vm, disk, string.Create(CultureInfo.InvariantCulture, $"write -P {pattern} {offset} {length}")));

    /// <summary>An image's content, whatever its format and backing.</summary>
    public async Task<byte[]> ReadImageAsync(string path)
    {
        string raw = At($"read-{Path.GetFileName(path)}.raw");
        await QemuFolder.Run("qemu-img", "convert", "-U", "-O", "raw", path, raw);
        byte[] content = await File.ReadAllBytesAsync(raw);
        File.Delete(raw);
        return content;
    }

    /// <summary>Names of images and other files under the pool, without their folder.</summary>
    public string[] PoolFiles() =>
        Directory.Exists(At("pool")) ? [.. Directory.EnumerateFiles(At("pool"), "*", SearchOption.AllDirectories).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)] : [];

    public async ValueTask DisposeAsync()
    {
        await KillAgentAsync();
        foreach (VmFacts vm in await Hypervisor.ListVmsAsync(CancellationToken.None))
        {
            await Hypervisor.DestroyAsync(vm.Id, CancellationToken.None);
            await Hypervisor.UndefineAsync(vm.Id, CancellationToken.None);
        }

        foreach (NetworkFacts network in await Hypervisor.ListNetworksAsync(CancellationToken.None))
        {
            if (network.Name == ProductionNetwork || network.Name.EndsWith("-bubble", StringComparison.Ordinal))
            {
                await Hypervisor.DestroyNetworkAsync(network.Name, CancellationToken.None);
            }
        }

        foreach (string daemon in await Daemons.ListAsync(CancellationToken.None))
        {
            await Daemons.StopAsync(daemon, At(daemon + ".sock"), CancellationToken.None);
        }

        await Hypervisor.DisposeAsync();
        Source.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private void Run() => _running = Host.RunAsync(_stop.Token);

    private ReplicaStores Stores() => new(Journal, new FolderStore(At("state")));

    private TargetServices Services(IHypervisor hypervisor) => new(
        hypervisor,
        new StorageDaemons(Settings, NullLogger<StorageDaemons>.Instance),
        new ImageTool(Settings),
        new HostDevices(Settings, Daemons),
        _sockets,
        TimeProvider.System,
        _ids,
        new OwnershipServices(new GuardFolder(new FolderStore(At("guard")), "boot-1", 0), "boot-1", TimeProvider.System, NullLogger.Instance),
        new TargetSettings
        {
            RuntimeFolder = At("run"),
            LogFolder = At("log"),
            WatchEvery = TimeSpan.FromMilliseconds(200),
            HousekeepingEvery = TimeSpan.FromMilliseconds(500),
        },
        NullLogger.Instance);
}
