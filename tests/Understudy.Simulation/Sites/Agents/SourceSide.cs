using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Replication.Wire;
using Understudy.Simulation.Agents;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>All VMs that are protected from a host, in one life of its agent, as the executable keeps them.</summary>
internal sealed class SourceSide(SitesWorld world, Site site, SimProcess process, IHypervisor hypervisor, SimRandom random, TaskCompletionSource died)
{
    private static readonly TimeSpan OpenAgainAfter = TimeSpan.FromSeconds(10);

    private readonly SitesWorld _world = world;
    private readonly Site _site = site;
    private readonly SimProcess _process = process;
    private readonly IHypervisor _hypervisor = hypervisor;
    private readonly SimRandom _random = random;
    private readonly TaskCompletionSource _died = died;
    private readonly AsyncGate _gate = new();
    private readonly CaptureLimiter _limiter = new(2);
    private readonly List<RunningSource> _sources = [];

    public IEnumerable<SourceVm> Sources => _sources.Select(s => s.Source);

    public async Task RunAsync()
    {
        while (true)
        {
            await _process.TakeTimeAsync(OpenAgainAfter);
            await OpenAllAsync();
        }
    }

    public async Task OpenAllAsync()
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(default);
        foreach (VmWatch watch in _world.Vms)
        {
            if (Find(watch.Id) is null && _site.Orders.TryGetValue(watch.Id, out SourceOrder? order))
            {
                await TryOpenAsync(watch, order);
            }
        }
    }

    /// <summary>Asked again for a VM that is protected to that replica, goes on with what it does.</summary>
    public async Task ProtectAsync(SourceProtectRequest request)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(default);
        if (Find(request.Vm) is { } running)
        {
            if (running.Source.Spec.Replica != request.Replica)
            {
                throw new ErrorException(Errors.AlreadyProtected(running.Source.Spec.VmName, "another host"));
            }

            return;
        }

        VmFacts vm = await _hypervisor.FindVmAsync(request.Vm, default) ?? throw new ErrorException(Errors.UnknownVm(request.Vm.ToString()));
        SourceSpec spec = new(request.Replica, request.Vm, vm.Name, request.Line);
        SourceOrder order = new(request.Replica, request.Target, _world.Policy with { Frequency = request.Settings.Frequency });
        await SiteAgent.MakeFolderAsync(_site, _process, FolderOf(request.Vm));
        _site.Orders[request.Vm] = order;
        SourceEnvironment environment = Environment(request.Vm, order);
        Start(await SourceVm.OpenAsync(environment, order.Policy, default) ?? await SourceVm.CreateAsync(
            environment, spec, DiskChoice.Of(vm, []).Disks, order.Policy, default));
    }

    public async Task ConfigureAsync(SourceConfigureRequest request)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(default);
        RunningSource running = Find(request.Vm) ?? throw new ErrorException(Errors.NotProtected(request.Vm.ToString()));
        SourceOrder order = _site.Orders[request.Vm];
        order = order with { Policy = order.Policy with { Frequency = request.Settings.Frequency } };
        _site.Orders[request.Vm] = order;
        running.Source.ApplyPolicy(order.Policy);
    }

    public async Task<Removed> UnprotectAsync(SourceUnprotectRequest request)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(default);
        if (Find(request.Vm) is not { } running || running.Source.Spec.Replica != request.Replica)
        {
            return new Removed([], []);
        }

        await running.StopAsync();
        try
        {
            await running.Source.UnprotectAsync(default);
        }
        catch
        {
            running.Start(_process, _died);
            throw;
        }

        _sources.Remove(running);
        running.Source.Dispose();
        _site.Orders.Remove(request.Vm);
        return new Removed([$"change tracking of {running.Source.Spec.VmName}"], []);
    }

    private static string FolderOf(VmId vm) => $"sources/{vm}";

    private RunningSource? Find(VmId vm) => _sources.Find(s => s.Source.Spec.Vm == vm);

    private async Task TryOpenAsync(VmWatch watch, SourceOrder order)
    {
        try
        {
            if (await SourceVm.OpenAsync(Environment(watch.Id, order), order.Policy, default) is { } source)
            {
                Start(source);
            }
        }
        catch (UnderstudyException fault)
        {
            _world.Context.Trace.Note(_world.Simulator.NowTicks, _process.Name, $"source of {watch.Name} not opened: {fault.Message}");
        }
    }

    private SourceEnvironment Environment(VmId vm, SourceOrder order) => new(
        _hypervisor,
        _world.Context.Plant == Plant.LoseADirtyBlock ? new ForgetfulCapture(_hypervisor) : _hypervisor,
        _site.Host.Disk.OpenStore(_process, FolderOf(vm)),
        new Connector(_world, _process, _world.SiteOf(order.Target)),
        _limiter,
        new Events(_world, vm),
        _process.Time,
        new SeededIds(_random.Fork(2)),
        "simulation",
        new TraceLogger<SourceVm>(_world.Context.Logger));

    private void Start(SourceVm source)
    {
        var running = new RunningSource(source);
        _sources.Add(running);
        running.Start(_process, _died);
    }

    private sealed class RunningSource(SourceVm source)
    {
        private CancellationTokenSource _stop = new();
        private Task _loop = Task.CompletedTask;

        public SourceVm Source { get; } = source;

        public void Start(SimProcess process, TaskCompletionSource died)
        {
            _stop = new CancellationTokenSource();
            _loop = RunAsync(process, died);
        }

        public async Task StopAsync()
        {
            _stop.Cancel();
            await _loop;
        }

        private async Task RunAsync(SimProcess process, TaskCompletionSource died)
        {
            await process.TakeTimeAsync(TimeSpan.Zero);
            try
            {
                await Source.RunAsync(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // The way to stop.
            }
#pragma warning disable CA1031 // They only end by what must not happen.
            catch (Exception broken)
#pragma warning restore CA1031
            {
                died.TrySetException(broken);
            }
        }
    }

    private sealed class Connector(SitesWorld world, SimProcess process, Site target) : IPeerConnector
    {
        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            try
            {
                return await world.Network.ConnectAsync(process, target.Host, SiteAgent.Port, cancellationToken);
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
                await using Stream stream = await world.Network.ConnectAsync(process, target.Host, SiteAgent.Port, cancellationToken);
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }
    }

    private sealed class Events(SitesWorld world, VmId vm) : ISourceEvents
    {
        public void Raise(SourceEvent happened)
        {
            world.Context.Counters.Add($"source: {happened.Kind}");
            world.Context.Trace.Event(world.Simulator.NowTicks, world.Watch(vm).Name, "source says", happened.Kind.ToString());
            world.Context.Trace.Note(world.Simulator.NowTicks, world.Watch(vm).Name, happened.What);
        }
    }
}
