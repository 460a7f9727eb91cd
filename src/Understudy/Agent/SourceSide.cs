using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Replication.Security;

namespace Understudy.Agent;

/// <summary>All VMs this host replicates to others, each with its engine's loop. Changes of the set take turns at one gate.</summary>
internal sealed class SourceSide(
    AgentConfig config, IHypervisor hypervisor, Func<TlsIdentity> identity, SourceNews news, TimeProvider time, IIdSource ids, ILoggerFactory loggers)
    : IAsyncDisposable
{
    /// <summary>Captures at once: each reads a disk at full speed, and two keep a disk busy.</summary>
    private const int CapturesAtOnce = 2;

    private static readonly TimeSpan OpenAgainAfter = TimeSpan.FromSeconds(10);

    private readonly AsyncGate _gate = new();
    private readonly Lock _lock = new(); // guards _sources, which reports read from any thread
    private readonly SortedDictionary<Guid, RunningSource> _sources = [];
    private readonly CaptureLimiter _limiter = new(CapturesAtOnce);
    private readonly ILogger _logger = loggers.CreateLogger("source");

    public IReadOnlyList<SourceReport> Reports()
    {
        lock (_lock)
        {
            return [.. _sources.Values.Select(s => SourceWords.Report(s.Source, s.Order, s.Power))];
        }
    }

    /// <summary>The same with the names of people, for the host's own command line.</summary>
    public IReadOnlyList<LocalSource> Locals()
    {
        lock (_lock)
        {
            return [.. _sources.Values.Select(s => new LocalSource(s.Source.Spec.VmName, s.Order.Endpoint, SourceWords.Report(s.Source, s.Order, s.Power)))];
        }
    }

    /// <summary>Goes on with every VM that was protected here, and looks again every few seconds for one that could not be
    /// opened. Such a one does not keep the others from starting.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await OpenAllAsync(cancellationToken);
            await Task.Delay(OpenAgainAfter, time, cancellationToken);
        }
    }

    public async Task OpenAllAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        Directory.CreateDirectory(config.SpoolFolder);
        foreach (string folder in Directory.EnumerateDirectories(config.SpoolFolder).Order(StringComparer.Ordinal))
        {
            if (folder != config.ScratchFolder && VmId.TryParse(Path.GetFileName(folder), out VmId vm) && Find(vm) is null)
            {
                await TryOpenAsync(folder, cancellationToken);
            }
        }
    }

    private async Task TryOpenAsync(string folder, CancellationToken cancellationToken)
    {
        try
        {
            if (await SourceOrder.TryReadAsync(folder, cancellationToken) is { } order
                && await SourceVm.OpenAsync(Environment(folder, order), order.Policy, cancellationToken) is { } source)
            {
                Start(source, order);
                AgentLog.GoesOn(_logger, $"Replication of {source.Spec.VmName}");
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            AgentLog.PartStopped(_logger, $"Replication from {folder}", e.Message, e);
        }
    }

    /// <summary>Asked again for a VM that is protected to that replica, goes on with what it does.</summary>
    public async Task ProtectAsync(SourceProtectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        SourceOrder order = new(request.Replica.Value, request.Target.Value, request.Endpoint, request.Settings.Frequency, request.Settings.Compression)
        {
            ExcludedDisks = request.ExcludedDisks ?? [],
            StartAt = request.StartAt,
        };
        if (Find(request.Vm) is { } running)
        {
            if (running.Source.Spec.Replica != request.Replica)
            {
                throw new ErrorException(Errors.AlreadyProtected(running.Source.Spec.VmName, $"another host (replica {running.Source.Spec.Replica})"));
            }

            await ChangeAsync(running, order);
            return;
        }

        VmFacts vm = await hypervisor.FindVmAsync(request.Vm, cancellationToken) ?? throw new ErrorException(Errors.UnknownVm(request.Vm.ToString()));
        IReadOnlyList<DiskNow> disks = SourceDisks.Of(vm, order.Policy.ExcludedDisks);
        SourceSpec spec = new(request.Replica, request.Vm, vm.Name, request.Line);
        string folder = FolderOf(request.Vm);
        Directory.CreateDirectory(folder);
        await order.WriteAsync(folder, cancellationToken); // Before the engine's state: a state without an order could not be continued.
        SourceEnvironment environment = Environment(folder, order);
        SourceVm source = await SourceVm.OpenAsync(environment, order.Policy, cancellationToken)
            ?? await SourceVm.CreateAsync(environment, spec, disks, order.Policy, cancellationToken);
        Start(source, order);
    }

    public async Task ConfigureAsync(SourceConfigureRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        RunningSource running = Find(request.Vm) ?? throw new ErrorException(Errors.NotProtected(request.Vm.ToString()));
        await ChangeAsync(running, running.Order with { Frequency = request.Settings.Frequency, Compression = request.Settings.Compression });
    }

    /// <summary>Which disks take part, from the next cut on (CFG-9).</summary>
    public async Task SetDisksAsync(SourceDisksRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        RunningSource running = Find(request.Vm) is { } found && found.Source.Spec.Replica == request.Replica
            ? found
            : throw new ErrorException(Errors.NotProtected(request.Vm.ToString()));
        VmFacts vm = await hypervisor.FindVmAsync(request.Vm, cancellationToken) ?? throw new ErrorException(Errors.UnknownVm(request.Vm.ToString()));
        SourceDisks.Of(vm, request.Excluded);
        await ChangeAsync(running, running.Order with { ExcludedDisks = request.Excluded });
    }

    /// <summary>Removes everything of ours on this side; asked for a VM that is not protected (any more), there is nothing to do.</summary>
    public async Task<Removed> UnprotectAsync(SourceUnprotectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (Find(request.Vm) is not { } running || running.Source.Spec.Replica != request.Replica)
        {
            return new Removed([], []);
        }

        await running.Loop.DisposeAsync();
        try
        {
            await running.Source.UnprotectAsync(cancellationToken);
        }
        catch
        {
            running.Loop.Start(); // It stands as before: the order can be given again.
            throw;
        }

        lock (_lock)
        {
            _sources.Remove(request.Vm.Value);
        }

        running.Source.Dispose();
        SourceOrder.Delete(FolderOf(request.Vm));
        ReplicaFolders.RemoveEmpty(FolderOf(request.Vm));
        return new Removed([$"change tracking of {running.Source.Spec.VmName}", $"spool {FolderOf(request.Vm)}"], []);
    }

    /// <summary>A run state that changed may end a pause at once.</summary>
    public void NotePower(IEnumerable<VmFacts> vms)
    {
        foreach (VmFacts vm in vms)
        {
            if (Find(vm.Id) is { } running && running.Power != Facts.Of(vm.State))
            {
                running.Power = Facts.Of(vm.State);
                running.Source.PeerIsBack();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        RunningSource[] all;
        lock (_lock)
        {
            all = [.. _sources.Values];
        }

        foreach (RunningSource running in all)
        {
            await running.Loop.DisposeAsync();
            running.Source.Dispose();
        }
    }

    private string FolderOf(VmId vm) => Path.Combine(config.SpoolFolder, vm.ToString());

    private SourceEnvironment Environment(string folder, SourceOrder order) => new(
        hypervisor, hypervisor, new FolderStore(folder), new PeerConnector(order.Endpoint, order.Target, identity), _limiter, news, time, ids,
        AgentVersion.Text, loggers.CreateLogger<SourceVm>());

    /// <summary>A new endpoint or target needs a new engine over the same state; settings do not.</summary>
    private async Task ChangeAsync(RunningSource running, SourceOrder order)
    {
        string folder = FolderOf(running.Source.Spec.Vm);
        await order.WriteAsync(folder, CancellationToken.None);
        if (order.Endpoint == running.Order.Endpoint && order.Target == running.Order.Target)
        {
            running.Order = order;
            running.Source.ApplyPolicy(order.Policy);
            return;
        }

        await running.Loop.DisposeAsync();
        running.Source.Dispose();
        SourceVm? source = await SourceVm.OpenAsync(Environment(folder, order), order.Policy, CancellationToken.None);
        Invariant.Check(source is not null, "a running source has no state");
        Start(source!, order);
    }

    private RunningSource? Find(VmId vm)
    {
        lock (_lock)
        {
            return _sources.GetValueOrDefault(vm.Value);
        }
    }

    private void Start(SourceVm source, SourceOrder order)
    {
        RunningSource running = new(source, order, _logger);
        lock (_lock)
        {
            _sources[source.Spec.Vm.Value] = running;
        }

        running.Loop.Start();
    }

    private sealed class RunningSource(SourceVm source, SourceOrder order, ILogger logger)
    {
        public SourceVm Source { get; } = source;

        public SourceOrder Order { get; set; } = order;

        /// <summary>As the inventory saw it last; written by its loop, read by reports.</summary>
        public VmPower Power { get; set; } = VmPower.Running;

        public OwnedLoop Loop { get; } = new($"Replication of {source.Spec.VmName}", source.RunAsync, logger);
    }
}
