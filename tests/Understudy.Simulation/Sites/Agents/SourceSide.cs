using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Replication.Calling;
using Understudy.Simulation.Agents;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Running;
using Understudy.Simulation.Sites;
using Understudy.Simulation.Sites.Agents;
using Understudy.Testing.Simulation;
using Site = Understudy.Simulation.Sites.Site;

namespace Understudy.Agent;

/// <summary>All VMs that are protected from a host, in one life of its agent. It has the name of the executable's own class
/// for the same reason as <see cref="TargetSide"/>.</summary>
internal sealed class SourceSide : ICalledSources
{
    private static readonly TimeSpan OpenAgainAfter = TimeSpan.FromSeconds(10);

    private readonly SitesWorld _world;
    private readonly Site _site;
    private readonly SimProcess _process;
    private readonly SourceMachine _machine;
    private readonly OwnershipServices _ownership;
    private readonly GuardFolder _guard;
    private readonly SimRandom _random;
    private readonly TaskCompletionSource _died;
    private readonly AsyncGate _gate = new();
    private readonly CaptureLimiter _limiter = new(2);
    private readonly Dictionary<VmId, PeerReach> _reaches = [];
    private readonly List<Running<SourceHost>> _sources = [];
    private readonly List<Running<RetiredSource>> _retired = [];

    public SourceSide(
        SitesWorld world, Site site, SimProcess process, IHypervisor hypervisor, OwnershipServices ownership, GuardFolder guard, SimRandom random, TaskCompletionSource died)
    {
        _world = world;
        _site = site;
        _process = process;
        _ownership = ownership;
        _guard = guard;
        _random = random;
        _died = died;
        _machine = new SourceMachine(
            hypervisor,
            world.Context.Plant == Plant.LoseADirtyBlock ? new ForgetfulCapture(hypervisor) : hypervisor,
            hypervisor,
            world.Context.Plant == Plant.SkipTheLastChange ? new ForgetfulStoppedDisks(new ModelStoppedDisks(site.Machine, process)) : new ModelStoppedDisks(site.Machine, process),
            new ModelImageTool(site.Machine, process));
    }

    public bool TryOffer(IncomingCall call)
    {
        if (Find(call.Vm) is not { } running || running.Subject.Spec.Replica != call.Replica || _site.Orders[call.Vm].Target.Value != call.Agent)
        {
            return false;
        }

        _reaches[call.Vm].Offer(call);
        return true;
    }

    public IEnumerable<SourceHost> Sources => _sources.Select(s => s.Subject);

    public IEnumerable<RetiredSource> RetiredOnes => _retired.Select(s => s.Subject);

    public IReadOnlyList<SourceReport> Reports() =>
    [
        .. _sources.Select(s => SourceWords.Report(
            s.Subject, _site.Orders[s.Subject.Spec.Vm], _site.Machine.Find(s.Subject.Spec.Vm) is { } domain ? Facts.Of(domain.State) : VmPower.Off, _ => 0)),
        .. _retired.Select(r => SourceWords.Report(r.Subject, _ => 0)),
    ];

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
            if (Find(watch.Id) is null && FindRetired(watch.Id) is null && _site.Host.Disk.ListAll(FolderOf(watch.Id)).Count > 0)
            {
                await TryOpenAsync(watch);
            }
        }
    }

    /// <summary>Asked again for a VM that is protected to that replica, goes on with what it does.</summary>
    public async Task ProtectAsync(SourceProtectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        SourceOrder order = new(request.Replica, request.Target, request.Endpoint, With(_world.Policy, request.Settings));
        if (Find(request.Vm) is { } running)
        {
            if (running.Subject.Spec.Replica != request.Replica)
            {
                throw new ErrorException(Errors.AlreadyProtected(running.Subject.Spec.VmName, "another host"));
            }

            await ChangeAsync(running, order);
            return;
        }

        if (FindRetired(request.Vm) is { } retired)
        {
            throw new ErrorException(Errors.InUse("VM", retired.Subject.Ownership.VmName, "what is here are old disks"));
        }

        VmFacts vm = await _machine.Inventory.FindVmAsync(request.Vm, cancellationToken) ?? throw new ErrorException(Errors.UnknownVm(request.Vm.ToString()));
        string definition = await _machine.Inventory.GetDefinitionAsync(request.Vm, DefinitionKind.Inactive, cancellationToken);
        IReadOnlyList<DiskNow> disks = SourceDisks.Of(vm, order.Policy.ExcludedDisks, definition);
        SourceSpec spec = new(request.Replica, request.Vm, vm.Name, request.Line);
        await SiteAgent.MakeFolderAsync(_site, _process, FolderOf(request.Vm));
        _site.Orders[request.Vm] = order;
        _guard.SetPolicy(request.Vm, order.Policy.StartsAfter);
        Start(await SourceHost.CreateAsync(Environment(request.Vm, order), spec, disks, order.Policy, cancellationToken));
    }

    public async Task ConfigureAsync(SourceConfigureRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        Running<SourceHost> running = Find(request.Vm) ?? throw new ErrorException(Errors.NotProtected(request.Vm.ToString()));
        SourceOrder order = _site.Orders[request.Vm];
        await ChangeAsync(running, order with { Policy = With(order.Policy, request.Settings) });
    }

    public async Task SetDisksAsync(SourceDisksRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        Running<SourceHost> running = Require(request.Vm, request.Replica);
        if (await _machine.Inventory.FindVmAsync(request.Vm, cancellationToken) is { } vm)
        {
            SourceDisks.RequireAny(vm, request.Excluded, await _machine.Inventory.GetDefinitionAsync(request.Vm, DefinitionKind.Inactive, cancellationToken));
        }

        SourceOrder order = _site.Orders[request.Vm];
        await ChangeAsync(running, order with { Policy = order.Policy with { ExcludedDisks = request.Excluded } });
    }

    public async Task<Removed> UnprotectAsync(SourceUnprotectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Find(request.Vm) is null && FindRetired(request.Vm) is null && _site.Host.Disk.ListAll(FolderOf(request.Vm)).Count > 0)
        {
            await GoOnAsync(request.Vm); // What stands there and could not be opened is not gone.
        }

        if (Find(request.Vm) is not { } running || running.Subject.Spec.Replica != request.Replica)
        {
            return new Removed([], FindRetired(request.Vm) is { } old && old.Subject.Ownership.Replica == request.Replica ? [Describe(old.Subject)] : []);
        }

        await running.StopAsync();
        try
        {
            await (request.KeepGuard ? running.Subject.RetireAsync(SourceWords.OwnerOf(request), cancellationToken) : running.Subject.UnprotectAsync(request.Line, cancellationToken));
        }
        catch when (!running.Subject.Engine.HasBegunToEnd)
        {
            running.Start(_process, _died); // It stands as before, with what only memory knows.
            throw;
        }
        catch
        {
            await running.Subject.CloseAsync(default);
            _sources.Remove(running);
            running.Subject.Dispose();
            await TryOpenAsync(_world.Watch(request.Vm)); // As the executable's: the files decide whether it goes on or ends.
            throw;
        }

        _sources.Remove(running);
        running.Subject.Dispose();
        _site.Orders.Remove(request.Vm);
        if (await RetiredSource.OpenAsync(Environment(request.Vm, null), cancellationToken) is { } retired)
        {
            Start(retired);
            return new Removed([], [Describe(retired)]);
        }

        return new Removed([$"change tracking of {running.Subject.Spec.VmName}"], []);
    }

    public async Task<Removed> DeleteBranchAsync(SourceBranchDeleteRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Find(request.Vm) is { } running)
        {
            return new Removed([], await running.Subject.DeleteKeptAsync(request.Branch, cancellationToken));
        }

        if (FindRetired(request.Vm) is not { } retired)
        {
            return new Removed([], []);
        }

        await retired.StopAsync();
        try
        {
            IReadOnlyList<string> left = await retired.Subject.DeleteAsync(request.Branch, cancellationToken);
            _retired.Remove(retired);
            return new Removed([$"VM {retired.Subject.Ownership.VmName}"], left);
        }
        catch
        {
            _retired.Remove(retired);
            await TryOpenAsync(_world.Watch(request.Vm));
            throw;
        }
    }

    /// <exception cref="ErrorException">No such VM is protected here, to that replica.</exception>
    public SourceHost FindHost(VmId vm, ReplicaId replica) => Require(vm, replica).Subject;

    private static string Describe(RetiredSource retired) => $"the old VM {retired.Ownership.VmName}";

    public static string FolderOf(VmId vm) => $"sources/{vm}";

    private static SourcePolicy With(SourcePolicy policy, SourceSettings settings) => policy with
    {
        Frequency = settings.Frequency,
        StartsAfter = settings.GuardStartsAfter,
        WhenDeposed = SourceWords.ActionOf(settings.IsolatedSource),
    };

    private Running<SourceHost>? Find(VmId vm) => _sources.Find(s => s.Subject.Spec.Vm == vm);

    private Running<RetiredSource>? FindRetired(VmId vm) => _retired.Find(s => s.Subject.Ownership.Vm == vm);

    private Running<SourceHost> Require(VmId vm, ReplicaId replica) => Find(vm) is { } found && found.Subject.Spec.Replica == replica
        ? found
        : throw new ErrorException(Errors.NotProtected(vm.ToString()));

    private async Task ChangeAsync(Running<SourceHost> running, SourceOrder order)
    {
        _site.Orders[running.Subject.Spec.Vm] = order;
        _guard.SetPolicy(running.Subject.Spec.Vm, order.Policy.StartsAfter);
        running.Subject.ApplyPolicy(order.Policy);
        await running.Subject.Ownership.PublishAsync(default);
    }

    private async Task TryOpenAsync(VmWatch watch)
    {
        try
        {
            await GoOnAsync(watch.Id);
        }
        catch (UnderstudyException fault)
        {
            _world.Context.Trace.Note(_world.Simulator.NowTicks, _process.Name, $"source of {watch.Name} not opened: {fault.Message}");
        }
    }

    private async Task GoOnAsync(VmId vm)
    {
        SourceOrder? order = _site.Orders.GetValueOrDefault(vm);
        _guard.SetPolicy(vm, order?.Policy.StartsAfter);
        if (order is not null && await SourceHost.OpenAsync(Environment(vm, order), order.Policy, default) is { } source)
        {
            Start(source);
        }
        else if (await RetiredSource.OpenAsync(Environment(vm, null), default) is { } retired)
        {
            _site.Orders.Remove(vm);
            Start(retired);
        }
        else
        {
            _site.Orders.Remove(vm);
        }
    }

    /// <param name="order">Null for what is retired: it has nobody to speak to.</param>
    private SourceHostEnvironment Environment(VmId vm, SourceOrder? order) => new(
        _machine,
        ForgetfulStore.Planted(_world.Context.Plant, _site.Host.Disk.OpenStore(_process, FolderOf(vm))),
        order?.Target.Value ?? Guid.Empty,
        _reaches[vm] = new PeerReach(new SiteConnector(_world, _process, _world.PeerOf(_site)), dials: !_world.TargetDials, _process.Time),
        _limiter,
        new Events(_world, vm),
        _ownership,
        new SeededIds(_random.Fork(2)),
        "simulation",
        new TraceLogger<SourceVm>(_world.Context.Logger));

    private void Start(SourceHost source)
    {
        _reaches[source.Spec.Vm].Called = source.Engine.PeerHasCalled;
        var running = new Running<SourceHost>(source, source.RunAsync);
        _sources.Add(running);
        running.Start(_process, _died);
    }

    private void Start(RetiredSource source)
    {
        var running = new Running<RetiredSource>(source, source.RunAsync);
        _retired.Add(running);
        running.Start(_process, _died);
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

/// <summary>What the vault ordered; the executable keeps it in a file beside the engine's state.</summary>
internal sealed record SourceOrder(ReplicaId Replica, HostId Target, string Endpoint, SourcePolicy Policy)
{
    public IReadOnlyCollection<string> Disks => Policy.ExcludedDisks;

    public IReadOnlyList<string> ExcludedDisks => [.. Policy.ExcludedDisks];
}
