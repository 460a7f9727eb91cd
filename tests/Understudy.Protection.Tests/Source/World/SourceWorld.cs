using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Tests.Ownership;
using Understudy.Protection.Tests.Target.World;
using Understudy.Replication.Calling;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>
/// A source host with one VM and the real engine, a target host with the real receiver in front of a replica that checks
/// itself, and a guest that writes; all under one seed. The agent can be killed at any step and started again.
/// </summary>
internal sealed class SourceWorld : IReplicaDirectory, ICalledSources, ISourceEvents
{
    public static readonly TimeSpan Frequency = TimeSpan.FromSeconds(15);
    public static readonly LineId Line = new(1, 77);
    public static readonly Guid Peer = new(7, 7, 7, new byte[8]);

    private readonly SimHost _source;
    private readonly SimHost _target;
    private readonly SimRandom _random;
    private SimProcess? _agent;
    private bool _restarts = true;
    private PeerReach? _reach;
    private Connector? _dialler;

    public SourceWorld(ulong seed, params int[] diskBlocks)
    {
        Simulator = new Simulator(seed);
        _random = Simulator.Random.Fork(100);
        TargetDials = Simulator.Random.Fork(101).Next(2) == 1;
        _source = new SimHost(Simulator, "source");
        _target = new SimHost(Simulator, "target");
        Network = new SimNetwork(Simulator);
        Vm = new ScriptedVm(Simulator, diskBlocks.Length == 0 ? [5, 9] : diskBlocks);
        Replica = new CheckingReplica(Vm, Line);
        Vm.MayStart = () => Guard.MayStart(Vm.Id);
        _target.Start("agent", ListenAsync);
        for (int i = 0; i < 6; i++)
        {
            WriteSomething();
        }
    }

    public Simulator Simulator { get; }

    public SimNetwork Network { get; }

    public ScriptedVm Vm { get; }

    public CheckingReplica Replica { get; }

    /// <summary>What the agent that runs now has of the VM.</summary>
    public SourceHost? Host { get; private set; }

    /// <summary>The engine of the agent that runs now.</summary>
    public SourceVm? Engine => Host?.Engine;

    /// <summary>The files the VM's disks are in.</summary>
    public ModelHost Images { get; } = new();

    public MemoryGuard Guard { get; private set; } = new("boot-1");

    /// <summary>Of the source's host.</summary>
    public string Boot { get; private set; } = "boot-1";

    /// <summary>Answers the source instead of the replica when set.</summary>
    public Func<ControlFrame.Hello, Refusal?>? Refuses { get; set; }

    public List<SourceEvent> Events { get; } = [];

    public SourcePolicy Policy { get; set; } = new() { Frequency = Frequency, SliceBytes = 3 * BlockSize.Bytes };

    public SourceSpec Spec => new(
        new ReplicaId(new Guid(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
        Vm.Id,
        "app",
        Line);

    public SimHost Machine => _source;

    public TimeProvider Time => Simulator.Root.Time;

    /// <summary>The agent, started again whenever it dies, until <paramref name="done"/> holds.</summary>
    public void RunUntil(Func<bool> done, bool guestWrites = true) => Simulator.Run(async () =>
    {
        StartAgent();
        while (!done())
        {
            await Task.Delay(TimeSpan.FromMilliseconds(_random.Between(1, 400)), Time);
            if (_agent is { IsAlive: false } dead)
            {
                Assert.Null(dead.Failure);
                StartAgent();
            }

            if (guestWrites && Vm.State == VmRunState.Running)
            {
                WriteSomething();
            }
        }

        _restarts = false;
        _agent?.Kill();
    });

    public bool AgentIsAlive => _agent is { IsAlive: true };

    /// <summary>Which of the two hosts dials: nothing else of what a test claims depends on it (REG-3).</summary>
    public bool TargetDials { get; set; }

    /// <summary>No new connection gets through.</summary>
    public bool IsCutOff { get; set; }

    public void KillAgent() => _agent?.Kill();

    /// <summary>The source's host loses its power and boots: its agent starts, its VMs do not.</summary>
    public void Reboot(string boot)
    {
        _agent?.Kill();
        Boot = boot;
        Guard = Guard.AfterBoot(boot);
        Vm.State = VmRunState.Off;
        Vm.Open = null;
    }

    /// <summary>What is left at the source after unprotecting: nothing, when all is well.</summary>
    public async Task UnprotectAsync()
    {
        _restarts = false;
        _agent?.Kill();
        SimProcess cleaner = _source.Start("cleaner", async process =>
        {
            using SourceHost host = await SourceHost.OpenAsync(Environment(process), Policy, CancellationToken.None)
                ?? throw new InvalidOperationException("nothing is protected");
            await host.UnprotectAsync(line: null, CancellationToken.None);
        });
        await cleaner.Ended;
        Assert.Null(cleaner.Failure);
    }

    /// <summary>Work of an agent whose loops do not run; <paramref name="life"/> ends it before one of its calls.</summary>
    public async Task InProcessAsync(Func<SourceHostEnvironment, Task> work, Life? life = null)
    {
        Exception? failed = null;
        Simulator.Run(async () =>
        {
            SimProcess process = _source.Start("orders", async process =>
            {
                try
                {
                    SourceHostEnvironment environment = Environment(process);
                    await work(life is null ? environment : Mortally(environment, life));
                }
                catch (Exception e)
                {
                    failed = e;
                }
            });
            await process.Ended;
        });
        await Task.CompletedTask;
        if (failed is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failed);
        }
    }

    private static SourceHostEnvironment Mortally(SourceHostEnvironment environment, Life life) => environment with
    {
        Machine = new SourceMachine(
            Mortal<IVmInventory>.Of(environment.Machine.Inventory, life),
            Mortal<IVmCapture>.Of(environment.Machine.Capture, life),
            Mortal<IVmLifecycle>.Of(environment.Machine.Lifecycle, life),
            Mortal<IStoppedDisks>.Of(environment.Machine.Stopped, life),
            Mortal<IImageTool>.Of(environment.Machine.Images, life)),
        Store = Mortal<IFileStore>.Of(environment.Store, life),
        Ownership = environment.Ownership with { Guard = Mortal<IStartGuard>.Of(environment.Ownership.Guard, life) },
    };

    public ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken) =>
        ValueTask.FromResult<DirectoryAnswer>(Refuses?.Invoke(hello) is { } refusal ? new DirectoryAnswer.Refused(refusal) : new DirectoryAnswer.Found(Replica));

    public void Raise(SourceEvent happened) => Events.Add(happened);

    /// <summary>Every block of every disk gets content of its own.</summary>
    public void FillDisks()
    {
        for (int disk = 0; disk < Vm.Disks.Count; disk++)
        {
            FillDisk(disk);
        }
    }

    public void FillDisk(int disk)
    {
        int length = Vm.Disks[disk].Length;
        for (int block = 0; block < BlockSize.CountFor(length); block++)
        {
            byte[] content = new byte[Math.Min(BlockSize.Bytes, length - (block * BlockSize.Bytes))];
            BitConverter.TryWriteBytes(content, (disk * 65536) + block + 1);
            Vm.Write(disk, block, content);
        }
    }

    public void WriteSomething()
    {
        int disk = _random.Next(Vm.Disks.Count);
        int block = _random.Next((int)BlockSize.CountFor(Vm.Disks[disk].Length));
        int room = Math.Min(BlockSize.Bytes, Vm.Disks[disk].Length - (block * BlockSize.Bytes));
        switch (_random.Next(6))
        {
            case 0:
                Vm.Discard(disk, block);
                break;
            case 1:
                Vm.Write(disk, block, new byte[room]); // Zeros as data: allocated, and still not to be sent as such.
                break;
            default:
                byte[] content = new byte[room];
                BitConverter.TryWriteBytes(content, _random.NextULong());
                BitConverter.TryWriteBytes(content.AsSpan(room - 8), _random.NextULong());
                Vm.Write(disk, block, content);
                break;
        }
    }

    private void StartAgent()
    {
        if (_restarts)
        {
            _agent = _source.Start("agent", RunAgentAsync);
        }
    }

    private async Task RunAgentAsync(SimProcess process)
    {
        SourceHostEnvironment environment = Environment(process);
        using SourceHost host = await SourceHost.OpenAsync(environment, Policy, CancellationToken.None)
            ?? await SourceHost.CreateAsync(environment, Spec, Vm.DisksNow, Policy, CancellationToken.None);
        Host = host;
        _reach = (PeerReach)environment.Connector;
        _reach.Called = host.Engine.PeerHasCalled;
        await host.RunAsync(CancellationToken.None);
    }

    /// <summary>What the source of the agent that runs now is called by.</summary>
    public bool TryOffer(IncomingCall call)
    {
        if (call.Replica != Spec.Replica || _reach is not { } reach)
        {
            return false;
        }

        reach.Offer(call);
        return true;
    }

    /// <summary>The other way round from now on, as the vault tells both sides: the target first when it is to dial.</summary>
    public void Turn()
    {
        TargetDials = !TargetDials;
        _reach?.Use(_dialler!, dials: !TargetDials); // Set together with the reach.
    }

    private SourceHostEnvironment Environment(SimProcess process)
    {
        ScriptedHypervisor hypervisor = Vm.For(process);
        return new SourceHostEnvironment(
            new SourceMachine(hypervisor, hypervisor, hypervisor, hypervisor, new ModelImageTool(Images, new ModelSockets(Images))),
            _source.Disk.OpenStore(process, "source/app"),
            Peer,
            ReachOf(process),
            new CaptureLimiter(4), // A process's own: one that is killed takes the slots it held with it.
            this,
            new OwnershipServices(Guard, Boot, process.Time, NullLogger.Instance),
            new SeededIds(_random.Fork(5)),
            "0.1.0",
            NullLogger<SourceVm>.Instance);
    }

    private PeerReach ReachOf(SimProcess process)
    {
        _dialler = new Connector(this, process);
        ReplicationReceiver door = new(this, "0.1.0", process.Time, NullLogger<ReplicationReceiver>.Instance, this);
        Network.Listen(process, "called", async stream =>
        {
            if (await door.ServeAsync(stream, Peer, CancellationToken.None) is not null)
            {
                await stream.DisposeAsync();
            }
        });
        return new PeerReach(_dialler, dials: !TargetDials, process.Time);
    }

    /// <summary>Also while the source dials: a test may turn it round.</summary>
    private async Task CallAsync(SimProcess process, ReplicationReceiver receiver)
    {
        ReplicationCaller caller = new(receiver, "0.1.0", process.Time, NullLogger<ReplicationCaller>.Instance);
        CalledSource source = new(Spec.Replica, Vm.Id, Guid.Empty, async token => TargetDials && !IsCutOff
            ? await DialAsync(process, _source, "called", token)
            : throw new ConnectionLostException("no answer"));
        await caller.RunAsync(source, CancellationToken.None);
    }

    private async ValueTask<Stream> DialAsync(SimProcess process, SimHost host, string port, CancellationToken cancellationToken)
    {
        try
        {
            return await Network.ConnectAsync(process, host, port, cancellationToken);
        }
        catch (IOException unreachable)
        {
            throw new ConnectionLostException(unreachable.Message, unreachable);
        }
    }

    private async Task ListenAsync(SimProcess process)
    {
        ReplicationReceiver receiver = new(this, "0.1.0", process.Time, NullLogger<ReplicationReceiver>.Instance);
        Network.Listen(process, "bulk", async stream =>
        {
            await using (stream)
            {
                await receiver.ServeAsync(stream, Guid.Empty, CancellationToken.None);
            }
        });
        await CallAsync(process, receiver);
    }

    private sealed class Connector(SourceWorld world, SimProcess process) : IPeerConnector
    {
        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            if (world.IsCutOff)
            {
                throw new ConnectionLostException("no answer");
            }

            return await world.DialAsync(process, world._target, "bulk", cancellationToken);
        }

        public ValueTask<bool> ProbeAsync(CancellationToken cancellationToken) => ValueTask.FromResult(!world.IsCutOff);
    }
}
