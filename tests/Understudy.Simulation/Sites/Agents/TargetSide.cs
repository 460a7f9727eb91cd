using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Model;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Replication.Calling;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Running;
using Understudy.Simulation.Sites;
using Understudy.Simulation.Sites.Agents;
using Understudy.Simulation.Sites.Checkers;
using Understudy.Testing.Simulation;
using Site = Understudy.Simulation.Sites.Site;

namespace Understudy.Agent;

/// <summary>
/// All replicas of a host in one life of its agent. It has the name of the executable's own class, which keeps its files in
/// a real file system, so that the executable's binding of the vault's orders is compiled in here as it is.
/// </summary>
internal sealed class TargetSide : IReplicaDirectory
{
    private static readonly TimeSpan OpenAgainAfter = TimeSpan.FromSeconds(10);

    private readonly SitesWorld _world;
    private readonly Site _site;
    private readonly SimProcess _process;
    private readonly SimRandom _random;
    private readonly TaskCompletionSource _died;
    private readonly AsyncGate _gate = new();
    private readonly List<Running<ReplicaHost>> _replicas = [];

    /// <summary>Up to where points were read, by replica.</summary>
    private readonly Dictionary<ReplicaId, ulong> _checked = [];

    public TargetSide(
        SitesWorld world, Site site, SimProcess process, IHypervisor hypervisor, OwnershipServices ownership, SimRandom random, TaskCompletionSource died)
    {
        _world = world;
        _site = site;
        _process = process;
        _random = random;
        _died = died;
        Power = new SeenPower(process.Time);
        Services = new TargetServices(
            hypervisor,
            new ModelDaemons(site.Machine, process),
            new ModelImageTool(site.Machine, process),
            new ModelHostDevices(site.Machine, process),
            new ModelSockets(site.Machine, process),
            process.Time,
            new SeededIds(random.Fork(1)),
            ownership,
            new TargetSettings
            {
                RuntimeFolder = "/run/understudy",
                LogFolder = "/var/log/understudy",
                WatchEvery = TimeSpan.FromSeconds(5),
                HousekeepingEvery = TimeSpan.FromSeconds(5),
                JobPollEvery = TimeSpan.FromMilliseconds(500),
                Journal = world.Journal,
            },
            world.Context.Logger)
        {
            News = new KeptNews(world),
        };
    }

    public TargetServices Services { get; }

    /// <summary>Set before anything is opened.</summary>
    public ReplicationCaller? Caller { get; set; }

    public IEnumerable<ReplicaHost> Hosts => _replicas.Select(r => r.Subject);

    public async Task RunAsync()
    {
        while (true)
        {
            await _process.TakeTimeAsync(OpenAgainAfter * (0.5 + (_random.NextFraction() * 0.5)));
            await OpenAllAsync();
            foreach (Running<ReplicaHost> running in _replicas.ToArray())
            {
                await CheckAsync(running.Subject);
            }
        }
    }

    public async Task OpenAllAsync()
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(default);
        foreach (VmWatch watch in _world.Vms)
        {
            if (_replicas.Exists(r => r.Subject.Spec.Vm == watch.Id) || !Stands(watch.Id))
            {
                continue;
            }

            try
            {
                if (await ReplicaHost.OpenAsync(Services, Stores(watch.Id), default) is { } host)
                {
                    await StartAsync(host);
                }
            }
            catch (UnderstudyException fault)
            {
                // Tried again: the executable does no more. One that can never be opened is seen by the liveness check.
                _world.Context.Trace.Note(_world.Simulator.NowTicks, _process.Name, $"replica of {watch.Name} not opened: {fault.Message}");
            }
        }
    }

    public async Task<ReplicaCreated> CreateAsync(ReplicaCreateRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(default);
        if (TryFind(request.Replica) is not { } host)
        {
            if (Hosts.FirstOrDefault(h => h.Spec.Vm == request.Vm) is { } other)
            {
                throw new ErrorException(Errors.AlreadyProtected(request.VmName, $"this host (replica {other.Spec.Replica})"));
            }

            RequireReadable(request.Vm);
            await SiteAgent.MakeFolderAsync(_site, _process, $"{FolderOf(request.Vm)}/replica");
            await SiteAgent.MakeFolderAsync(_site, _process, $"{FolderOf(request.Vm)}/host");
            ReplicaSpec spec = new(
                request.Replica,
                request.Vm,
                request.VmName,
                request.TargetName,
                request.Source.Value,
                new LineId(1, Services.Ids.NewRandom128()),
                $"/images/{request.TargetName}",
                request.Settings.Retention);
            PointLedger ledger = _world.Watch(request.Vm).Ledger(request.Replica);
            ledger.Order(request.Settings.Retention);
            host = await ReplicaHost.CreateAsync(Services, Stores(request.Vm), spec, default);
            await StartAsync(host);
        }

        return new ReplicaCreated(host.Spec.FirstLine, [$"replica {host.Spec.Replica}"]);
    }

    /// <summary>A model machine has every network that is asked for.</summary>
#pragma warning disable CA1822 // called on an instance, as the executable's own
    public Task RequireNetworksAsync(IEnumerable<string?> names, CancellationToken cancellationToken)
#pragma warning restore CA1822
    {
        _ = names;
        return Task.CompletedTask;
    }

    public ReplicaHost Find(ReplicaId replica) => TryFind(replica) ?? throw new ErrorException(new ErrorInfo(
        ErrorKind.NoSuchThing, "replica-unknown", $"This host has no replica {replica}", "It was removed, or its folder cannot be read.", "See the agent's log."));

    public ReplicaHost? TryFind(ReplicaId replica) => _replicas.Find(r => r.Subject.Spec.Replica == replica)?.Subject;

    /// <summary>No one brings a seed here; the runs of the engines know them.</summary>
    public async Task<SeedCheckAnswer> CheckSeedsAsync(SeedCheckRequest request, CancellationToken cancellationToken)
    {
        await _process.TakeTimeAsync(TimeSpan.Zero);
        return new SeedCheckAnswer([]);
    }

    public async Task ConfigureAsync(ReplicaConfigureRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        ReplicaHost host = Find(request.Replica);
        Ledger(host).Order(request.Settings.Retention);
        await host.ConfigureAsync(request.Settings.Retention, cancellationToken);
    }

    public async Task<Removed> UnprotectAsync(TargetUnprotectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (_replicas.Find(r => r.Subject.Spec.Replica == request.Replica) is not { } running)
        {
            RequireReadable(request.Vm);
            return new Removed([], []);
        }

        await running.StopAsync();
        try
        {
            Ledger(running.Subject).IsEnding = true;
            RemovedThings things = await running.Subject.UnprotectAsync(request.DeleteBranches, request.AtSource, cancellationToken);
            _replicas.Remove(running);
            await running.Subject.DisposeAsync();
            return new Removed(things.Gone, things.Kept, things.VmStays);
        }
        catch
        {
            running.Start(_process, _died); // It stands as before, and somebody has to look after it.
            throw;
        }
    }

    public async ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken)
    {
        if (TryFind(hello.Replica) is not { } host || host.Spec.Source != agentId || host.Spec.Vm != hello.Vm)
        {
            return new DirectoryAnswer.Refused(new Refusal(Replication.Wire.RefusalCode.UnknownReplica, FaultClass.NeedsOperator, "no such replica", "-"));
        }

        if (_world.Context.Plant == Plant.KeepTheNews && hello.Line != host.CurrentLine.Line)
        {
            return new DirectoryAnswer.Refused(new Refusal(Replication.Wire.RefusalCode.Busy, FaultClass.Transient, "later", "-"));
        }

        await host.HeardAsync(hello.Line, cancellationToken);
        return host.TryGetSink() is { } sink
            ? new DirectoryAnswer.Found(new LedgerSink(sink, host, Ledger(host), _died))
            : new DirectoryAnswer.Refused(Refusal.StaleLine(hello.Line, host.CurrentLine));
    }

    /// <summary>Orders tell it; nobody looks here: a report knows the machine's own state.</summary>
    public SeenPower Power { get; }

    public TargetReport ReportOf(ReplicaHost host) =>
        Reports.Of(host.Status, _site.Machine.Find(host.Spec.Vm) is { } domain ? Facts.Of(domain.State) : null, _ => 0);

    public static string FolderOf(VmId vm) => $"replicas/{vm}";

    private bool Stands(VmId vm) => _site.Host.Disk.ListAll(FolderOf(vm)).Count > 0;

    private PointLedger Ledger(ReplicaHost host) => _world.Watch(host.Spec.Vm).Ledger(host.Spec.Replica);

    private ReplicaStores Stores(VmId vm) => new(
        _site.Host.Disk.OpenStore(_process, $"{FolderOf(vm)}/replica"),
        ForgetfulStore.Planted(_world.Context.Plant, _site.Host.Disk.OpenStore(_process, $"{FolderOf(vm)}/host")));

    private async Task StartAsync(ReplicaHost host)
    {
        var running = new Running<ReplicaHost>(host, ct => Task.WhenAll(host.RunAsync(ct), CallAsync(host, ct)));
        _replicas.Add(running);
        running.Start(_process, _died);
        await CheckAsync(running.Subject);
    }

    /// <summary>Where this side dials.</summary>
    private async Task CallAsync(ReplicaHost host, CancellationToken cancellationToken)
    {
        if (_world.TargetDials && Caller is { } caller)
        {
            Site source = _world.PeerOf(_site);
            var dialler = new SiteConnector(_world, _process, source);
            await caller.RunAsync(new CalledSource(host.Spec.Replica, host.Spec.Vm, source.Id.Value, dialler.ConnectAsync), cancellationToken);
        }
    }

    private void RequireReadable(VmId vm)
    {
        if (Stands(vm))
        {
            throw new ErrorException(new ErrorInfo(
                ErrorKind.Refused, "replica-unreadable", "A replica stands there and cannot be opened now", "It is tried again every few seconds.", "See the log."));
        }
    }

    /// <summary>Everything that is listed or pinned, byte for byte; and that nothing in here has broken.</summary>
    private async Task CheckAsync(ReplicaHost host)
    {
        PointLedger ledger = Ledger(host);
        ledger.Look(host);
        ledger.Branches.Look(host, _site.Machine, _process.Time.GetUtcNow());
        if (host.Status.Error is { } error and not StorageException { Kind: FaultKind.FlushFailed or FaultKind.Closed or FaultKind.Io }
            && (error.Class == FaultClass.Fatal || error.InnerException is not (null or UnderstudyException)))
        {
            ledger.Violate("crash", $"the replica's own work broke: {error} {error.InnerException}");
        }

        if (host.OpenReplica is not { } replica)
        {
            return;
        }

        var checker = new PointChecker(ledger, _process, _random);
        ulong newestChecked = _checked.GetValueOrDefault(host.Spec.Replica);
        bool all = newestChecked == 0 || _random.Chance(0.1);
        foreach (RecoveryPoint point in replica.Points)
        {
            if (all || point.Sequence > newestChecked)
            {
                await TryCheckAsync(checker, host, replica, point);
            }
        }

        _checked[host.Spec.Replica] = replica.Points is [.., var newest] ? newest.Sequence : 0;
        foreach (PinStatus pin in all ? replica.Status.Pins : [])
        {
            if (ledger.Find(pin.Point) is { } point)
            {
                await TryCheckAsync(checker, host, replica, point);
            }
        }

        _world.Context.Counters.Add("points checked byte for byte", checker.TakePointsChecked());
    }

    /// <summary>A disk that fails says nothing about what is on it; a replica may be closed while it is read.</summary>
    private static async Task TryCheckAsync(PointChecker checker, ReplicaHost host, Replica replica, RecoveryPoint point)
    {
        try
        {
            await checker.CheckAsync(replica, point);
        }
        catch (StorageException unread) when (unread.Kind is FaultKind.Io or FaultKind.Closed or FaultKind.FlushFailed or FaultKind.Denied)
        {
            // Looked at again later; or, denied, a commit has given the base to the VM between two reads.
        }
        catch (InvariantException) when (host.OpenReplica != replica)
        {
            // It was removed during a slow read. The product lets nobody read who would hold that up; this checker reads past all that.
        }
    }

    /// <summary>What the vault writes into its journal of events, and a person reads there.</summary>
    private sealed class KeptNews(SitesWorld world) : ISourceEvents
    {
        public void Raise(SourceEvent happened)
        {
            world.Context.Counters.Add($"target: {happened.Kind}");
            if (happened.Kind == SourceEventKind.KeptAtEnd)
            {
                world.Database.Kept.Add(happened.What);
            }
        }
    }
}
