using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Replication.Wire;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Agents;

/// <summary>The source agent's data plane in one life of its process: the engine of every protected VM, as the product has it.</summary>
internal sealed class SourceAgent(RunContext context, SimProcess process, ModelHypervisor hypervisor, SourcePolicy policy, SimRandom random)
{
    private readonly RunContext _context = context;
    private readonly SimProcess _process = process;
    private readonly ModelHypervisor _hypervisor = hypervisor;
    private readonly SourcePolicy _policy = policy;
    private readonly SimRandom _random = random;

    public async Task RunAsync(SimNetwork network, SimHost target, IReadOnlyList<ReplicaWatch> watches)
    {
        SimHost host = _process.Host ?? throw new InvalidOperationException("an agent runs on a host");
        var client = new ModelHypervisorClient(_hypervisor, _process);
        IVmCapture capture = _context.Plant == Plant.LoseADirtyBlock ? new ForgetfulCapture(client) : client;
        var limiter = new CaptureLimiter(_random.Between(1, 2));
        var running = new List<Task>();
        foreach (ReplicaWatch watch in watches)
        {
            string folder = $"sources/{watch.Vm.Name}";
            await MakeFolderAsync(host.Disk.OpenStore(_process, ""), folder);
            IFileStore store = host.Disk.OpenStore(_process, folder);
            var environment = new SourceEnvironment(
                client,
                capture,
                new NeverStopped(),
                await OpenTokenAsync(store, watch),
                store,
                new Connector(network, _process, target),
                limiter,
                new Events(_context, watch),
                _process.Time,
                new SeededIds(_random.Fork(2)),
                "simulation",
                new TraceLogger<SourceVm>(_context.Logger));
            SourceVm engine = await OpenAsync(environment, watch);
            watch.Source = engine;
            running.Add(engine.RunAsync(CancellationToken.None));
        }

        await await Task.WhenAny(running); // They only end by what must not happen.
    }

    private async Task<SourceVm> OpenAsync(SourceEnvironment environment, ReplicaWatch watch)
    {
        if (await SourceVm.OpenAsync(environment, _policy, default) is { } engine)
        {
            watch.IsProtected = true;
            return engine;
        }

        if (watch.IsProtected)
        {
            watch.Violate("source", "the durable state of a protected VM is gone");
        }

        DiskNow[] disks = [.. watch.Vm.Disks.Select((d, i) => new DiskNow(watch.Vm.Targets[i], d.SizeBytes))];
        var spec = new SourceSpec(watch.Id, watch.Vm.Id, watch.Vm.Name, watch.FirstLine);
        await SourceVm.PrepareAsync(environment.Store, spec, disks, default);
        SourceVm? made = await SourceVm.OpenAsync(environment, _policy, default);
        watch.IsProtected = true;
        return made ?? throw new InvalidOperationException("a state that was just made is not there");
    }

    /// <summary>In this world no VM ever changes its owner.</summary>
    private async Task<OwnershipToken> OpenTokenAsync(IFileStore store, ReplicaWatch watch)
    {
        OwnershipRecord begin = OwnershipRules.Begin(
            watch.Vm.Id, watch.Vm.Name, watch.Id, Guid.Empty, watch.FirstLine, [], new OwnershipState.Here("boot"), _process.Time.GetUtcNow());
        return await OwnershipToken.BeginAsync(
            new OwnershipServices(new NoGuard(), "boot", _process.Time, NullLogger.Instance), store, begin, default);
    }

    private static async Task MakeFolderAsync(IFileStore root, string folder)
    {
        await root.CreateFolderAsync(folder, default);
        await root.FlushFolderAsync("", default);
        await root.FlushFolderAsync("sources", default);
    }

    private sealed class NoGuard : IStartGuard
    {
        public ValueTask PublishAsync(OwnershipRecord record, CancellationToken cancellationToken) => default;

        public ValueTask RemoveAsync(VmId vm, CancellationToken cancellationToken) => default;
    }

    private sealed class NeverStopped : IStoppedDisks
    {
        public ValueTask<ICapture> OpenAsync(StoppedDisksRequest request, CancellationToken cancellationToken) =>
            throw new NotSupportedException("no VM of this world is handed over");

        public ValueTask CloseStaleAsync(VmId vm, CancellationToken cancellationToken) => default;
    }

    private sealed class Connector(SimNetwork network, SimProcess process, SimHost target) : IPeerConnector
    {
        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            try
            {
                return await network.ConnectAsync(process, target, TargetAgent.Port, cancellationToken);
            }
            catch (IOException failed)
            {
                throw new ConnectionLostException(failed.Message, failed);
            }
        }

        public async ValueTask<bool> ProbeAsync(CancellationToken cancellationToken)
        {
            try
            {
                await using Stream stream = await network.ConnectAsync(process, target, TargetAgent.Port, cancellationToken);
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }
    }

    private sealed class Events(RunContext context, ReplicaWatch watch) : ISourceEvents
    {
        public void Raise(SourceEvent happened)
        {
            context.Counters.Add($"source: {happened.Kind}");
            context.Trace.Event(context.Simulator.NowTicks, watch.Vm.Name, "source says", happened.Kind.ToString());
            context.Trace.Note(context.Simulator.NowTicks, watch.Vm.Name, happened.What);
        }
    }
}
