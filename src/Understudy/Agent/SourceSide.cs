using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Replication.Calling;

namespace Understudy.Agent;

/// <summary>All VMs this host replicates to others, each with its engine's loop. Changes of the set take turns at one gate.</summary>
internal sealed partial class SourceSide(
    AgentSettings settings, SourceMachine machine, OwnershipServices ownership, GuardFolder guard, PeerDialler dialler, SourceNews news, IIdSource ids, ILoggerFactory loggers)
    : ICalledSources, IAsyncDisposable
{
    /// <summary>Captures at once: each reads a disk at full speed, and two keep a disk busy.</summary>
    private const int CapturesAtOnce = 2;

    private static readonly TimeSpan OpenAgainAfter = TimeSpan.FromSeconds(10);

    private readonly string _spool = settings.Config.SpoolFolder;
    private readonly AsyncGate _gate = new();
    private readonly Lock _lock = new(); // guards the two below, which reports read from any thread
    private readonly SortedDictionary<Guid, RunningSource> _sources = [];
    private readonly SortedDictionary<Guid, RetiredVm> _retired = [];
    private readonly ImageSizes _sizes = new(ownership.Time);
    private readonly CaptureLimiter _limiter = new(CapturesAtOnce);
    private readonly ILogger _logger = loggers.CreateLogger("source");

    public IReadOnlyList<SourceReport> Reports()
    {
        lock (_lock)
        {
            return
            [
                .. _sources.Values.Select(s => s.Report(_sizes)),
                .. _retired.Values.Select(r => SourceWords.Report(r.Source, _sizes.Of)),
            ];
        }
    }

    /// <summary>The same with the names of people, for the host's own command line.</summary>
    public IReadOnlyList<LocalSource> Locals()
    {
        lock (_lock)
        {
            return [.. _sources.Values.Select(s => new LocalSource(s.Source.Spec.VmName, s.Order.Endpoint, s.Report(_sizes)))];
        }
    }

    /// <summary>Goes on with every VM that was protected here, and looks again every few seconds for one that could not be
    /// opened. Such a one does not keep the others from starting.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await OpenAllAsync(cancellationToken);
            await Task.Delay(OpenAgainAfter, ownership.Time, cancellationToken);
        }
    }

    public async Task OpenAllAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        foreach (string folder in SideFolders.In(_spool, _logger))
        {
            if (folder != settings.Config.ScratchFolder && VmId.TryParse(Path.GetFileName(folder), out VmId vm) && Find(vm) is null && FindRetired(vm) is null)
            {
                await TryOpenAsync(folder, cancellationToken);
            }
        }
    }

    private async Task TryOpenAsync(string folder, CancellationToken cancellationToken)
    {
        try
        {
            await GoOnAsync(folder, cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            AgentLog.PartStopped(_logger, $"Replication from {folder}", e.Message, e);
        }
    }

    private async Task GoOnAsync(string folder, CancellationToken cancellationToken)
    {
        SourceOrder? order = await SourceOrder.TryReadAsync(folder, cancellationToken);
        PeerReach reach = ReachOf(order);
        if (order is not null && await OpenAsync(folder, order, reach, cancellationToken) is { } source)
        {
            Start(source, order, reach);
            AgentLog.GoesOn(_logger, $"Replication of {source.Spec.VmName}");
        }
        else if (await RetiredSource.OpenAsync(Environment(folder, order, reach), cancellationToken) is { } retired)
        {
            SourceOrder.Delete(folder);
            Start(retired);
        }
        else
        {
            SourceOrder.Delete(folder); // A protection that had not begun, or had all but ended.
            ReplicaFolders.RemoveEmpty(folder);
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
            TargetDials = request.TargetDials,
            GuardStartsAfter = request.Settings.GuardStartsAfter,
            IsolatedSource = request.Settings.IsolatedSource,
        };
        if (Find(request.Vm) is null && FindRetired(request.Vm) is null && Directory.Exists(FolderOf(request.Vm)))
        {
            await GoOnAsync(FolderOf(request.Vm), cancellationToken); // What stands there is another protection's, or its beginning.
        }

        if (Find(request.Vm) is { } running)
        {
            if (running.Source.Spec.Replica != request.Replica)
            {
                throw new ErrorException(Errors.AlreadyProtected(running.Source.Spec.VmName, $"another host (replica {running.Source.Spec.Replica})"));
            }

            await ChangeAsync(running, order);
            return;
        }

        if (FindRetired(request.Vm) is { } retired)
        {
            throw new ErrorException(Errors.InUse("VM", retired.Source.Ownership.VmName, "a copy of it at the other side, which owns it; what is here are old disks"));
        }

        VmFacts vm = await machine.Inventory.FindVmAsync(request.Vm, cancellationToken) is { } found && Visibility.MeantBy(settings.Visible, found)
            ? found
            : throw new ErrorException(Errors.UnknownVm(request.Vm.ToString())); // of one that is hidden nothing is said, not even that
        string definition = await machine.Inventory.GetDefinitionAsync(request.Vm, DefinitionKind.Inactive, cancellationToken);
        IReadOnlyList<DiskNow> disks = SourceDisks.Of(vm, order.Policy.ExcludedDisks, definition);
        SourceSpec spec = new(request.Replica, request.Vm, vm.Name, request.Line);
        string folder = FolderOf(request.Vm);
        Directory.CreateDirectory(folder);
        await order.WriteAsync(folder, cancellationToken); // Before the engine's state: a state without an order could not be continued.
        guard.SetPolicy(request.Vm, order.GuardStartsAfter);
        PeerReach reach = ReachOf(order);
        Start(await SourceHost.CreateAsync(Environment(folder, order, reach), spec, disks, order.Policy, cancellationToken), order, reach);
    }

    public async Task ConfigureAsync(SourceConfigureRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        RunningSource running = Find(request.Vm) ?? throw new ErrorException(Errors.NotProtected(request.Vm.ToString()));
        await ChangeAsync(running, running.Order with
        {
            Frequency = request.Settings.Frequency,
            Compression = request.Settings.Compression,
            GuardStartsAfter = request.Settings.GuardStartsAfter,
            IsolatedSource = request.Settings.IsolatedSource,
        });
    }

    /// <summary>Which disks take part, from the next cut on (CFG-9).</summary>
    public async Task SetDisksAsync(SourceDisksRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        RunningSource running = Require(request.Vm, request.Replica);
        if (await machine.Inventory.FindVmAsync(request.Vm, cancellationToken) is { } vm)
        {
            SourceDisks.RequireAny(vm, request.Excluded, await machine.Inventory.GetDefinitionAsync(request.Vm, DefinitionKind.Inactive, cancellationToken));
        }

        await ChangeAsync(running, running.Order with { ExcludedDisks = request.Excluded });
    }

    /// <exception cref="ErrorException">No such VM is protected here, to that replica.</exception>
    public SourceHost FindHost(VmId vm, ReplicaId replica) => Require(vm, replica).Source;

    /// <summary>How a VM that is sent from here is called.</summary>
    public string? NameOf(VmId vm) => Find(vm)?.Source.Spec.VmName;

    /// <summary>The VM is sent from here, or was and left something: also where that cannot be opened just now.</summary>
    public bool Holds(VmId vm) => Find(vm) is not null || FindRetired(vm) is not null || Directory.Exists(FolderOf(vm));

    /// <summary>A run state that changed may end a pause at once.</summary>
    public void NotePower(IEnumerable<VmFacts> vms)
    {
        foreach (VmFacts vm in vms)
        {
            if (Find(vm.Id) is { } running && running.Power != Facts.Of(vm.State))
            {
                running.Power = Facts.Of(vm.State);
                running.Source.Engine.PeerIsBack();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        RunningSource[] all;
        RetiredVm[] retired;
        lock (_lock)
        {
            all = [.. _sources.Values];
            retired = [.. _retired.Values];
        }

        foreach (RetiredVm old in retired)
        {
            await old.Loop.DisposeAsync();
        }

        foreach (RunningSource running in all)
        {
            await running.Loop.DisposeAsync();
            running.Source.Dispose();
        }
    }

    private string FolderOf(VmId vm) => Path.Combine(_spool, vm.ToString());

    /// <param name="order">Null for what is retired: it has nobody to speak to.</param>
    private SourceHostEnvironment Environment(string folder, SourceOrder? order, PeerReach reach) => new(
        machine,
        new FolderStore(folder),
        order?.Target ?? Guid.Empty,
        reach,
        _limiter,
        news,
        ownership,
        ids,
        AgentVersion.Text,
        loggers.CreateLogger<SourceVm>());

    private ValueTask<SourceHost?> OpenAsync(string folder, SourceOrder order, PeerReach reach, CancellationToken cancellationToken)
    {
        if (VmId.TryParse(Path.GetFileName(folder), out VmId vm))
        {
            guard.SetPolicy(vm, order.GuardStartsAfter); // Before the token is opened: that writes the guard's file anew.
        }

        return SourceHost.OpenAsync(Environment(folder, order, reach), order.Policy, cancellationToken);
    }

    /// <summary>A new target needs a new engine over the same state; settings and the way there do not.</summary>
    private async Task ChangeAsync(RunningSource running, SourceOrder order)
    {
        string folder = FolderOf(running.Source.Spec.Vm);
        await order.WriteAsync(folder, CancellationToken.None);
        if (order.Target == running.Order.Target)
        {
            bool sameWay = order.Endpoint == running.Order.Endpoint && order.TargetDials == running.Order.TargetDials;
            running.Order = order;
            if (!sameWay)
            {
                running.Reach.Use(ConnectorOf(order), dials: !order.TargetDials);
            }

            guard.SetPolicy(running.Source.Spec.Vm, order.GuardStartsAfter);
            running.Source.ApplyPolicy(order.Policy);
            await running.Source.Ownership.PublishAsync(CancellationToken.None);
            return;
        }

        await running.Loop.DisposeAsync();
        await running.Source.CloseAsync(CancellationToken.None);
        running.Source.Dispose();
        PeerReach reach = ReachOf(order);
        SourceHost? source = await OpenAsync(folder, order, reach, CancellationToken.None);
        Invariant.Check(source is not null, "a running source has no state");
        Start(source!, order, reach);
    }

    private RunningSource? Find(VmId vm)
    {
        lock (_lock)
        {
            return _sources.GetValueOrDefault(vm.Value);
        }
    }

    private RunningSource Require(VmId vm, ReplicaId replica) => Find(vm) is { } found && found.Source.Spec.Replica == replica
        ? found
        : throw new ErrorException(Errors.NotProtected(vm.ToString()));

    private RetiredVm? FindRetired(VmId vm)
    {
        lock (_lock)
        {
            return _retired.GetValueOrDefault(vm.Value);
        }
    }

    private void Start(RetiredSource source)
    {
        RetiredVm retired = new(source, _logger);
        lock (_lock)
        {
            _retired[source.Ownership.Vm.Value] = retired;
        }

        retired.Loop.Start();
    }

    private void Start(SourceHost source, SourceOrder order, PeerReach reach)
    {
        reach.Called = source.Engine.PeerHasCalled;
        RunningSource running = new(source, order, reach, _logger);
        lock (_lock)
        {
            _sources[source.Spec.Vm.Value] = running;
        }

        running.Loop.Start();
    }
}
