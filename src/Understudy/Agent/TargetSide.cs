using System.Collections.Concurrent;
using Understudy.Agent.Places;
using Understudy.Agent.Seeds;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Protection.Ports;
using Understudy.Protection.Target;
using Understudy.Replication.Calling;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Agent;

/// <summary>All replicas of this host, each with its housekeeping loop. Changes of the set take turns at one gate; a
/// replica's own orders have gates of their own.</summary>
internal sealed partial class TargetSide(
    AgentConfig config, TargetServices services, DepartureNotices departures, SeedCheck seeds, PeerDialler dialler, GuardFolder guard, ILogger logger)
    : IReplicaDirectory, IAsyncDisposable
{
    private static readonly TimeSpan OpenAgainAfter = TimeSpan.FromSeconds(10);

    /// <summary>A few times the pause after which a source asks again that is not the owner.</summary>
    private static readonly TimeSpan CallIsFresh = TimeSpan.FromSeconds(20);

    private readonly AsyncGate _gate = new();
    private readonly Lock _lock = new(); // guards _replicas, which the receiver reads from any thread
    private readonly SortedDictionary<Guid, RunningReplica> _replicas = [];
    private readonly ConcurrentDictionary<ReplicaId, long> _calls = new(); // when a replica's source called last
    private readonly PoolPlaces _pools = new(config.ReplicasFolder, services.Hypervisor, services.Ids); // within the gate
    private readonly ImageSizes _sizes = new(services.Time);
    private readonly LostReplicas _lost = new(guard, config.SpoolFolder);
    private readonly UnopenedReplicas _unopened = new();

    /// <summary>Calls the sources that do not dial. Set once, before anything is opened.</summary>
    public ReplicationCaller? Caller { get; set; }

    public IReadOnlyList<ReplicaHost> Hosts
    {
        get
        {
            lock (_lock)
            {
                return [.. _replicas.Values.Select(r => r.Host)];
            }
        }
    }

    /// <summary>
    /// Opens every replica that stands on this host and puts back what a killed agent left, then looks again every few
    /// seconds for one that could not be opened (libvirt or a disk may come later than the agent). Such a one is in
    /// nobody's way, but nothing is said to be gone while its folder stands.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await OpenAllAsync(cancellationToken);
            await Task.Delay(OpenAgainAfter, services.Time, cancellationToken);
        }
    }

    /// <summary>Replicas that stand here and cannot be opened now.</summary>
    public IReadOnlyList<ReplicaUnavailable> Unavailable => _unopened.All;

    public async Task OpenAllAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        foreach (string removed in _unopened.ForgetRemoved(config.ReplicasFolder))
        {
            await _lost.LetStartAsync(removed, cancellationToken);
        }

        foreach (string folder in SideFolders.In(config.ReplicasFolder, logger))
        {
            if (Hosts.All(host => ReplicaFolders.FolderOf(config, host.Spec.Vm) != folder))
            {
                await TryOpenAsync(folder, cancellationToken);
            }
        }
    }

    private async Task TryOpenAsync(string folder, CancellationToken cancellationToken)
    {
        ReplicaPlace? place = null;
        try
        {
            place = ReplicaPlace.TryRead(folder);
            if (place is not null)
            {
                await _pools.OpenAsync(place);
            }

            bool isLost = LostReplicas.IsLost(folder, place);
            TargetOrder? order = await ReadOrderAsync(folder, cancellationToken);
            if (VmId.TryParse(Path.GetFileName(folder), out VmId vm))
            {
                guard.SetPolicy(vm, order?.GuardStartsAfter); // Before the token is opened: that writes the guard's file anew.
            }

            if (await ReplicaHost.OpenAsync(services, ReplicaFolders.Stores(folder), cancellationToken) is { } host)
            {
                host.GuardStartsAfter = order?.GuardStartsAfter;
                Start(host, await ReadLinkAsync(folder, cancellationToken));
                AgentLog.GoesOn(logger, $"Replica of {host.Spec.VmName}");
            }
            else
            {
                RemoveFolder(folder);
                if (isLost)
                {
                    await _lost.LetStartAsync(folder, cancellationToken);
                }
            }

            _unopened.Forget(folder);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            if (_unopened.Note(folder, place, e))
            {
                AgentLog.PartStopped(logger, $"Replica in {folder}", e.Message, e);
            }
        }
    }

    /// <summary>A damaged order keeps no replica from being opened: what it says, the vault says again.</summary>
    private async Task<TargetOrder?> ReadOrderAsync(string folder, CancellationToken cancellationToken)
    {
        try
        {
            return await TargetOrder.TryReadAsync(folder, cancellationToken);
        }
        catch (StorageException unread)
        {
            AgentLog.PartStopped(logger, $"The order in {folder}", unread.Message, unread);
            return null;
        }
    }

    /// <summary>Asked for one that stands already, answers as at first.</summary>
    public async Task<ReplicaCreated> CreateAsync(ReplicaCreateRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        string folder = ReplicaFolders.FolderOf(config, request.Vm);
        if (Directory.Exists(folder) && Hosts.All(known => known.Spec.Vm != request.Vm))
        {
            await TryOpenAsync(folder, cancellationToken); // an attempt that died half way
        }

        if (!TryFind(request.Replica, out ReplicaHost? host))
        {
            if (Hosts.FirstOrDefault(h => h.Spec.Vm == request.Vm) is { } other)
            {
                throw new ErrorException(Errors.AlreadyProtected(request.VmName, $"this host (replica {other.Spec.Replica})"));
            }

            RequireReadable(request.Vm);
            if (!VmNames.IsLawful(request.TargetName))
            {
                throw new ErrorException(Errors.BadName("VM", request.TargetName));
            }

            ReplicaPlace? place = request.Pool is { } pool ? await _pools.ChooseAsync(pool, request, cancellationToken) : null;
            string images = Path.Combine(place is null ? config.ImagesFolder : PoolMark.ImagesOf(place.Path), request.TargetName);
            RequireFree(images);
            ReplicaSpec spec = new(
                request.Replica, request.Vm, request.VmName, request.TargetName, request.Source.Value,
                new LineId(1, services.Ids.NewRandom128()), images, request.Settings.Retention,
                Seeds: request.Seeds is { Count: > 0 } wanted ? (await seeds.RunAsync(wanted, request.Disks, cancellationToken)).Places : null);
            if (place is not null)
            {
                await _pools.TakeAsync(place, folder, cancellationToken);
            }

            host = await ReplicaHost.CreateAsync(services, ReplicaFolders.Stores(folder), spec, cancellationToken);
            TargetLink? link = request.SourceEndpoint is { } source ? new TargetLink(source) : null;
            await TargetLink.KeepAsync(folder, link, cancellationToken);
            Start(host, link);
        }

        await KeepOrderAsync(host, request.Settings, cancellationToken);
        return new ReplicaCreated(host.Spec.FirstLine, [$"replica {host.Spec.Replica}, disks in {host.Spec.ImageFolder}"]);
    }

    /// <summary>What a replica would begin with; nothing is made.</summary>
    public async Task<SeedCheckAnswer> CheckSeedsAsync(SeedCheckRequest request, CancellationToken cancellationToken) =>
        new((await seeds.RunAsync(request.Seeds, request.Disks, cancellationToken)).Found);

    /// <summary>Settings of a replica that stands here; taken up without starting over.</summary>
    public async Task ConfigureAsync(ReplicaConfigureRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        ReplicaHost host = Find(request.Replica);
        await KeepOrderAsync(host, request.Settings, cancellationToken);
        await host.ConfigureAsync(request.Settings.Retention, cancellationToken);
    }

    /// <summary>Before anything is made: a guest whose network is not there cannot be started, and by then the VM is owned here.</summary>
    /// <exception cref="ErrorException">This host has no such network, or it is not active.</exception>
    public async Task RequireNetworksAsync(IEnumerable<string?> names, CancellationToken cancellationToken)
    {
        IReadOnlyList<NetworkFacts> networks = await services.Hypervisor.ListNetworksAsync(cancellationToken);
        foreach (string name in names.OfType<string>().Distinct())
        {
            NetworkFacts network = networks.FirstOrDefault(known => known.Name == name) ?? throw new ErrorException(Errors.UnknownNetwork("This host", name));
            if (!network.Active)
            {
                throw new ErrorException(Errors.NetworkInactive("this host", name));
            }
        }
    }

    /// <summary>Null when the vault has not said how the VM is to run here.</summary>
    public ValueTask<TargetOrder?> TryReadOrderAsync(ReplicaHost host, CancellationToken cancellationToken) =>
        TargetOrder.TryReadAsync(ReplicaFolders.FolderOf(config, host.Spec.Vm), cancellationToken);

    /// <exception cref="ErrorException">No such replica here.</exception>
    public ReplicaHost Find(ReplicaId replica) => TryFind(replica, out ReplicaHost? host)
        ? host
        : throw new ErrorException(_unopened.Find(replica)?.Error ?? Unknown(replica));

    public async ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken)
    {
        if (_unopened.Find(hello.Replica, agentId) is { } unopened)
        {
            return new DirectoryAnswer.Refused(new Refusal(
                Replication.Wire.RefusalCode.StorageFault, FaultClass.Transient, $"{unopened.Error.What}. {unopened.Error.Why}", unopened.Error.Next));
        }

        // A replica of another source is not told apart from one that is not there: a stranger learns nothing.
        if (!TryFind(hello.Replica, out ReplicaHost? host) || host.Spec.Source != agentId || host.Spec.Vm != hello.Vm)
        {
            if (host is null && await departures.FindAsync(hello.Replica, hello.Vm, agentId, cancellationToken) is { } owner)
            {
                return new DirectoryAnswer.Refused(Refusal.StaleLine(hello.Line, owner));
            }

            return new DirectoryAnswer.Refused(new Refusal(
                Replication.Wire.RefusalCode.UnknownReplica, FaultClass.NeedsOperator, $"this host keeps no replica {hello.Replica} for that source",
                "Look at the VM's protection in the vault: the replica may have been removed."));
        }

        _calls[hello.Replica] = services.Time.GetTimestamp();
        await host.HeardAsync(hello.Line, cancellationToken);
        return host.TryGetSink() is { } sink ? new DirectoryAnswer.Found(sink)
            : host.IsClosed ? new DirectoryAnswer.Refused(Refusal.StaleLine(hello.Line, host.CurrentLine)) // The replica has become the VM's own disk.
            : new DirectoryAnswer.Refused(Refusal.Reopening()); // Or is open again just now: the next call finds it.
    }

    /// <summary>Whether the replica's source called just now, be it to be refused: a source that is not the owner asks every few seconds.</summary>
    public bool HasCalled(ReplicaId replica) => _calls.TryGetValue(replica, out long at) && services.Time.GetElapsedTime(at) < CallIsFresh;

    /// <summary>How a VM with a replica here is called at its source.</summary>
    public string? NameOf(VmId vm) => Hosts.FirstOrDefault(host => host.Spec.Vm == vm)?.Spec.VmName ?? _unopened.Find(vm)?.VmName;

    /// <summary>The VM is what a replica here became or is to become, a test of one, or has disks of one.</summary>
    public bool Uses(VmFacts vm) =>
        Directory.Exists(ReplicaFolders.FolderOf(config, vm.Id))
        || Hosts.Any(host => host.Spec.Vm == vm.Id
            || host.Status.Tests.Any(test => test.VmName == vm.Name)
            || host.Status.Mounts.Any(mount => mount.ToVm == vm.Id));

    /// <summary>For the reports: how the VMs that run here were seen last.</summary>
    public SeenPower Power { get; } = new(services.Time);

    public IReadOnlyList<TargetReport> Reports() => [.. Hosts.Select(ReportOf)];

    public TargetReport ReportOf(ReplicaHost host)
    {
        TargetReport report = Agent.Reports.Of(host.Status, Power.Of(host.Spec.Vm), _sizes.Of);
        return report with { Link = new LinkInfo(FindRunning(host.Spec.Replica)?.Link?.Source) };
    }

    public async ValueTask DisposeAsync()
    {
        RunningReplica[] all;
        lock (_lock)
        {
            all = [.. _replicas.Values];
        }

        foreach (RunningReplica running in all)
        {
            await running.DisposeCallsAsync();
            await running.Loop.DisposeAsync();
            await running.Host.DisposeAsync();
        }

        _pools.Dispose();
    }

    private bool TryFind(ReplicaId replica, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ReplicaHost? host)
    {
        host = FindRunning(replica)?.Host;
        return host is not null;
    }

    private RunningReplica? FindRunning(ReplicaId replica)
    {
        lock (_lock)
        {
            return _replicas.GetValueOrDefault(replica.Value);
        }
    }

    private static ErrorInfo Unknown(ReplicaId replica) => new(
        ErrorKind.NoSuchThing, "replica-unknown", $"This host has no replica {replica}", "It was removed, or its folder cannot be read.",
        "See the agent's log and the replicas folder there.");

    private async ValueTask KeepOrderAsync(ReplicaHost host, ReplicaSettings settings, CancellationToken cancellationToken)
    {
        if (settings.Recovery is { } recovery)
        {
            await TargetOrder.Of(recovery).WriteAsync(ReplicaFolders.FolderOf(config, host.Spec.Vm), cancellationToken);
            guard.SetPolicy(host.Spec.Vm, recovery.GuardStartsAfter);
            host.GuardStartsAfter = recovery.GuardStartsAfter;
            await host.PublishGuardAsync(cancellationToken);
        }
    }

    private void Start(ReplicaHost host, TargetLink? link)
    {
        RunningReplica running = new(host, logger);
        _unopened.Forget(ReplicaFolders.FolderOf(config, host.Spec.Vm));
        lock (_lock)
        {
            _replicas[host.Spec.Replica.Value] = running;
        }

        running.Loop.Start();
        StartCalls(running, link);
    }

    /// <exception cref="ErrorException">A replica of the VM stands in its folder and could not be opened.</exception>
    private void RequireReadable(VmId vm)
    {
        if (Hosts.Any(host => host.Spec.Vm == vm))
        {
            return; // Open, as another protection's.
        }

        if (_unopened.Find(vm) is { } unopened)
        {
            throw new ErrorException(unopened.Error);
        }

        string folder = ReplicaFolders.FolderOf(config, vm);
        if (Directory.Exists(folder) && Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Any())
        {
            throw new ErrorException(new ErrorInfo(
                ErrorKind.Refused, "replica-unreadable", $"A replica stands in {folder} and cannot be opened now", "The agent's log says why; it tries again every few seconds.",
                "See the log, and mend what it names."));
        }
    }

    private static void RequireFree(string imageFolder)
    {
        if (Directory.Exists(imageFolder) && Directory.EnumerateFileSystemEntries(imageFolder).Any())
        {
            throw new ErrorException(new ErrorInfo(
                ErrorKind.Refused, "name-taken", $"{imageFolder} is not empty", "The replica's disks get a folder of their own there.",
                "Choose another name (`--name`), or move what is in that folder."));
        }
    }

    private sealed class RunningReplica(ReplicaHost host, ILogger logger)
    {
        public ReplicaHost Host { get; } = host;

        public OwnedLoop Loop { get; } = new($"Replica of {host.Spec.VmName}", host.RunAsync, logger);

        /// <summary>Null where the source dials.</summary>
        public TargetLink? Link { get; private set; }

        private OwnedLoop? Calls { get; set; }

        public void StartCalls(TargetLink? link, Func<CancellationToken, Task>? run)
        {
            Link = link;
            Calls = run is null ? null : new OwnedLoop($"Dialling the source of {Host.Spec.VmName}", run, logger);
            Calls?.Start();
        }

        /// <summary>Returns when the connection that was dialled has ended.</summary>
        public ValueTask DisposeCallsAsync() => Calls?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
