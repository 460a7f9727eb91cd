using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Tests.Sites;

/// <summary>A recovery host of models with one replica, for scenarios that need a kill or a power loss at a chosen moment.</summary>
internal sealed class HostBench : ISourceEvents
{
    private const string Folder = "replicas/one";
    private readonly RunContext _context;
    private readonly SimRandom _random = new(3);
    private readonly Feeder _feeder;

    private HostBench(RunContext context)
    {
        _context = context;
        Machine = new ModelMachine(context, context.AddHost("target")) { ExpectedOf = ExpectedOf };
        Vm = new ModelVm(new VmId(new Guid(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9)), "vm0", [4 * 65536], context.AddHost("source")) { DevicesXml = DomainXml.Devices };
        Vm.Write(0, 65536, new byte[512].AsSpan());
        _feeder = new Feeder(Vm, _random.Fork(1)) { Line = Line };
    }

    public static LineId Line { get; } = new(1, 7);

    public ModelMachine Machine { get; }

    public ModelVm Vm { get; }

    /// <summary>Under several seeds: what a power loss keeps is up to them.</summary>
    public static void Run(Func<HostBench, Task> body)
    {
        for (ulong seed = 1; seed <= 8; seed++)
        {
            Run(seed, body);
        }
    }

    public static void Run(ulong seed, Func<HostBench, Task> body)
    {
        var context = new RunContext(seed, Plant.None, null);
        context.Simulator.Run(async () => await body(new HostBench(context)));
        Assert.Null(context.Violations.First);
    }

    /// <summary>One life of an agent, up to the end of <paramref name="body"/> or to its death in it.</summary>
    public async Task LifeAsync(Func<SimProcess, ReplicaHost, Task> body)
    {
        SimProcess process = Machine.Host.Start("agent", async self =>
        {
            ReplicaHost host = await OpenOrCreateAsync(self);
            using var stop = new CancellationTokenSource();
            Task running = host.RunAsync(stop.Token);
            await self.TakeTimeAsync(TimeSpan.FromSeconds(1));
            await body(self, host);
            stop.Cancel();
            await running;
        });
        await process.Ended;
        Assert.Null(process.Failure);
    }

    /// <summary>The record that says so stands.</summary>
    public bool HasReplica => Machine.Host.Disk.NodeOf($"{Folder}/host/{RunFiles.Replica}") is not null;

    /// <summary>What an agent has said that only opened what stands.</summary>
    public List<SourceEvent> News { get; } = [];

    public void Raise(SourceEvent happened) => News.Add(happened);

    /// <summary>A new agent looks at what stands, as it does at its start, and ends.</summary>
    public async Task OpenAsync()
    {
        SimProcess process = Machine.Host.Start("agent", async self =>
        {
            if (await ReplicaHost.OpenAsync(Services(Machine, self, _random) with { News = this }, Stores(self), default) is { } host)
            {
                await host.DisposeAsync();
            }
        });
        await process.Ended;
        Assert.Null(process.Failure);
    }

    /// <summary>The power goes at once and comes back.</summary>
    public async Task LosePowerAsync()
    {
        Machine.Host.PowerLoss();
        Machine.Simulator.Interrupt(Machine.LosePower);
        await _context.Simulator.DelayAsync(TimeSpan.FromSeconds(1));
        Machine.Host.Boot();
    }

    /// <summary>A cycle with everything that changed at the source.</summary>
    public async Task<RecoveryPoint> FeedAsync(SimProcess self, ReplicaHost host)
    {
        Replica replica = host.OpenReplica ?? throw new InvalidOperationException("closed");
        await _feeder.FeedAsync(replica, self.Time);
        await replica.FlushAsync(default);
        return replica.Points[^1];
    }

    public static FailoverRequest Failover(RecoveryPoint point) => new(point.Id, "vm0", [new Protection.Target.Definition.CardPlan(DomainXml.Mac, "office-here")]);

    public static TestRequest Test(RecoveryPointId point) => new(new Guid(7, 0, 0, new byte[8]), point, "vm0-test", TestNetworkKind.Bubble, []);

    public static TargetServices Services(RunContext context, SimHost host, SimProcess self) => Services(new ModelMachine(context, host), self, new SimRandom(3));

    private static TargetServices Services(ModelMachine machine, SimProcess self, SimRandom random) => new(
        new MachineHypervisor(machine, self, random.Fork(2)),
        new ModelDaemons(machine, self),
        new ModelImageTool(machine, self),
        new ModelHostDevices(machine, self),
        new ModelSockets(machine, self),
        self.Time,
        new SeededIds(random.Fork(3)),
        new OwnershipServices(new GuardFolder(machine.Host.Disk.OpenStore(self, GuardHook.Folder), machine.Boot, machine.UpSeconds), machine.Boot, self.Time, NullLogger.Instance),
        new TargetSettings { RuntimeFolder = "/run/understudy", LogFolder = "/var/log/understudy" },
        NullLogger.Instance);

    private async Task<ReplicaHost> OpenOrCreateAsync(SimProcess self)
    {
        TargetServices services = Services(Machine, self, _random);
        var root = Machine.Host.Disk.OpenStore(self, "");
        foreach (string folder in (string[])[GuardHook.Folder, "replicas", Folder, $"{Folder}/replica", $"{Folder}/host"])
        {
            await root.CreateFolderAsync(folder, default);
            await root.FlushFolderAsync(folder.Contains('/', StringComparison.Ordinal) ? folder[..folder.LastIndexOf('/')] : "", default);
        }

        ReplicaStores stores = Stores(self);
        ReplicaSpec spec = new(
            new ReplicaId(new Guid(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)), Vm.Id, Vm.Name, Vm.Name, Guid.Empty, Line, "/images/vm0", TimeSpan.FromHours(1));
        return await ReplicaHost.OpenAsync(services, stores, default) ?? await ReplicaHost.CreateAsync(services, stores, spec, default);
    }

    private ReplicaStores Stores(SimProcess self) =>
        new(Machine.Host.Disk.OpenStore(self, $"{Folder}/replica"), Machine.Host.Disk.OpenStore(self, $"{Folder}/host"));

    /// <summary>The bench tests what stands, not what is in it: every view is taken for the newest cut.</summary>
    private DiskImage ExpectedOf(ImageBacking.Nbd server) => Vm.Now().Disks[0];
}
