using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Source;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>
/// A source host with one VM and the real engine, a target host with the real receiver in front of a replica that checks
/// itself, and a guest that writes; all under one seed. The agent can be killed at any step and started again.
/// </summary>
internal sealed class SourceWorld : IReplicaDirectory, ISourceEvents
{
    public static readonly TimeSpan Frequency = TimeSpan.FromSeconds(15);
    private static readonly LineId Line = new(1, 77);

    private readonly SimHost _source;
    private readonly SimHost _target;
    private readonly SimRandom _random;
    private SimProcess? _agent;
    private bool _restarts = true;

    public SourceWorld(ulong seed, params int[] diskBlocks)
    {
        Simulator = new Simulator(seed);
        _random = Simulator.Random.Fork(100);
        _source = new SimHost(Simulator, "source");
        _target = new SimHost(Simulator, "target");
        Network = new SimNetwork(Simulator);
        Vm = new ScriptedVm(Simulator, diskBlocks.Length == 0 ? [5, 9] : diskBlocks);
        Replica = new CheckingReplica(Vm, Line);
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

    /// <summary>The engine of the agent that runs now.</summary>
    public SourceVm? Engine { get; private set; }

    public List<SourceEvent> Events { get; } = [];

    public SourcePolicy Policy { get; set; } = new() { Frequency = Frequency, SliceBytes = 3 * BlockSize.Bytes };

    public SourceSpec Spec => new(
        new ReplicaId(new Guid(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
        Vm.Id,
        "app",
        Line);

    public SimHost SourceHost => _source;

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

            if (guestWrites)
            {
                WriteSomething();
            }
        }

        _restarts = false;
        _agent?.Kill();
    });

    public void KillAgent() => _agent?.Kill();

    /// <summary>What is left at the source after unprotecting: nothing, when all is well.</summary>
    public async Task UnprotectAsync()
    {
        _restarts = false;
        _agent?.Kill();
        SimProcess cleaner = _source.Start("cleaner", async process =>
        {
            using SourceVm engine = await SourceVm.OpenAsync(Environment(process), Policy, CancellationToken.None)
                ?? throw new InvalidOperationException("nothing is protected");
            await engine.UnprotectAsync(CancellationToken.None);
        });
        await cleaner.Ended;
        Assert.Null(cleaner.Failure);
    }

    public ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken) =>
        ValueTask.FromResult<DirectoryAnswer>(new DirectoryAnswer.Found(Replica));

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
        SourceEnvironment environment = Environment(process);
        using SourceVm engine = await SourceVm.OpenAsync(environment, Policy, CancellationToken.None)
            ?? await SourceVm.CreateAsync(environment, Spec, Vm.DisksNow, Policy, CancellationToken.None);
        Engine = engine;
        await engine.RunAsync(CancellationToken.None);
    }

    private SourceEnvironment Environment(SimProcess process)
    {
        ScriptedHypervisor hypervisor = Vm.For(process);
        return new SourceEnvironment(
            hypervisor,
            hypervisor,
            _source.Disk.OpenStore(process, "source/app"),
            new Connector(this, process),
            new CaptureLimiter(4), // A process's own: one that is killed takes the slots it held with it.
            this,
            process.Time,
            new SeededIds(_random.Fork(5)),
            "0.1.0",
            NullLogger<SourceVm>.Instance);
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
        await new TaskCompletionSource().Task;
    }

    private sealed class Connector(SourceWorld world, SimProcess process) : IPeerConnector
    {
        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            try
            {
                return await world.Network.ConnectAsync(process, world._target, "bulk", cancellationToken);
            }
            catch (IOException unreachable)
            {
                throw new ConnectionLostException(unreachable.Message, unreachable);
            }
        }
    }
}
