using System.Collections.Concurrent;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Protection.Ports;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Agent;

/// <summary>All replicas of this host, each with its housekeeping loop. Changes of the set take turns at one gate; a
/// replica's own orders have gates of their own.</summary>
internal sealed class TargetSide(AgentConfig config, TargetServices services, GuardFolder guard, ILogger logger) : IReplicaDirectory, IAsyncDisposable
{
    private static readonly TimeSpan OpenAgainAfter = TimeSpan.FromSeconds(10);

    private readonly AsyncGate _gate = new();
    private readonly Lock _lock = new(); // guards _replicas, which the receiver reads from any thread
    private readonly SortedDictionary<Guid, RunningReplica> _replicas = [];
    private readonly ConcurrentDictionary<VmId, VmPower> _power = new();

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

    public async Task OpenAllAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        Directory.CreateDirectory(config.ReplicasFolder);
        foreach (string folder in Directory.EnumerateDirectories(config.ReplicasFolder).Order(StringComparer.Ordinal))
        {
            if (Hosts.All(host => ReplicaFolders.FolderOf(config, host.Spec.Vm) != folder))
            {
                await TryOpenAsync(folder, cancellationToken);
            }
        }
    }

    private async Task TryOpenAsync(string folder, CancellationToken cancellationToken)
    {
        try
        {
            TargetOrder? order = await ReadOrderAsync(folder, cancellationToken);
            if (VmId.TryParse(Path.GetFileName(folder), out VmId vm))
            {
                guard.SetPolicy(vm, order?.GuardStartsAfter); // Before the token is opened: that writes the guard's file anew.
            }

            if (await ReplicaHost.OpenAsync(services, ReplicaFolders.Stores(folder), cancellationToken) is { } host)
            {
                host.GuardStartsAfter = order?.GuardStartsAfter;
                Start(host);
                AgentLog.GoesOn(logger, $"Replica of {host.Spec.VmName}");
            }
            else
            {
                RemoveFolder(folder);
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            AgentLog.PartStopped(logger, $"Replica in {folder}", e.Message, e);
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
        if (!TryFind(request.Replica, out ReplicaHost? host))
        {
            string folder = ReplicaFolders.FolderOf(config, request.Vm);
            if (Hosts.FirstOrDefault(h => h.Spec.Vm == request.Vm) is { } other)
            {
                throw new ErrorException(Errors.AlreadyProtected(request.VmName, $"this host (replica {other.Spec.Replica})"));
            }

            RequireReadable(request.Vm);
            if (!VmNames.IsLawful(request.TargetName))
            {
                throw new ErrorException(Errors.BadName("VM", request.TargetName));
            }

            ReplicaSpec spec = new(
                request.Replica, request.Vm, request.VmName, request.TargetName, request.Source.Value,
                new LineId(1, services.Ids.NewRandom128()), Path.Combine(config.ImagesFolder, request.TargetName), request.Settings.Retention);
            RequireFree(spec.ImageFolder);
            host = await ReplicaHost.CreateAsync(services, ReplicaFolders.Stores(folder), spec, cancellationToken);
            Start(host);
        }

        await KeepOrderAsync(host, request.Settings, cancellationToken);
        return new ReplicaCreated(host.Spec.FirstLine, [$"replica {host.Spec.Replica}, disks in {host.Spec.ImageFolder}"]);
    }

    /// <summary>Settings of a replica that stands here; taken up without starting over.</summary>
    public async Task ConfigureAsync(ReplicaConfigureRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        ReplicaHost host = Find(request.Replica);
        await KeepOrderAsync(host, request.Settings, cancellationToken);
        await host.ConfigureAsync(request.Settings.Retention, cancellationToken);
    }

    /// <summary>Null when the vault has not said how the VM is to run here.</summary>
    public ValueTask<TargetOrder?> TryReadOrderAsync(ReplicaHost host, CancellationToken cancellationToken) =>
        TargetOrder.TryReadAsync(ReplicaFolders.FolderOf(config, host.Spec.Vm), cancellationToken);

    /// <exception cref="ErrorException">No such replica here.</exception>
    public ReplicaHost Find(ReplicaId replica) => TryFind(replica, out ReplicaHost? host)
        ? host
        : throw new ErrorException(new ErrorInfo(
            ErrorKind.NoSuchThing, "replica-unknown", $"This host has no replica {replica}", "It was removed, or its folder cannot be read.",
            "See the agent's log and the replicas folder there."));

    /// <summary>Removes the replica; asked for one that is gone, there is nothing to do.</summary>
    public async Task<Removed> UnprotectAsync(TargetUnprotectRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        RunningReplica? running;
        lock (_lock)
        {
            _replicas.TryGetValue(request.Replica.Value, out running);
        }

        if (running is null)
        {
            RequireReadable(request.Vm);
            return new Removed([], []);
        }

        await running.Loop.DisposeAsync();
        try
        {
            RemovedThings things = await running.Host.UnprotectAsync(request.DeleteBranches, cancellationToken);
            lock (_lock)
            {
                _replicas.Remove(request.Replica.Value);
            }

            await running.Host.DisposeAsync();
            RemoveFolder(ReplicaFolders.FolderOf(config, running.Host.Spec.Vm));
            return new Removed(things.Gone, things.Kept);
        }
        catch
        {
            running.Loop.Start(); // It stands as before, and somebody has to look after it.
            throw;
        }
    }

    public async ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken)
    {
        // A replica of another source is not told apart from one that is not there: a stranger learns nothing.
        if (!TryFind(hello.Replica, out ReplicaHost? host) || host.Spec.Source != agentId || host.Spec.Vm != hello.Vm)
        {
            return new DirectoryAnswer.Refused(new Refusal(
                Replication.Wire.RefusalCode.UnknownReplica, FaultClass.NeedsOperator, $"this host keeps no replica {hello.Replica} for that source",
                "Look at the VM's protection in the vault: the replica may have been removed."));
        }

        await host.HeardAsync(hello.Line, cancellationToken);
        return host.TryGetSink() is { } sink ? new DirectoryAnswer.Found(sink)
            : host.IsReopening ? new DirectoryAnswer.Refused(Refusal.Reopening())
            : new DirectoryAnswer.Refused(Refusal.StaleLine(hello.Line, host.CurrentLine)); // The replica has become the VM's own disk.
    }

    /// <summary>For the reports: how the VMs that run here were seen last.</summary>
    public void NotePower(IEnumerable<VmFacts> vms)
    {
        foreach (VmFacts vm in vms)
        {
            _power[vm.Id] = Facts.Of(vm.State);
        }
    }

    public IReadOnlyList<TargetReport> Reports() => [.. Hosts.Select(ReportOf)];

    public TargetReport ReportOf(ReplicaHost host) =>
        Agent.Reports.Of(host.Status, _power.TryGetValue(host.Spec.Vm, out VmPower power) ? power : null);

    public async ValueTask DisposeAsync()
    {
        RunningReplica[] all;
        lock (_lock)
        {
            all = [.. _replicas.Values];
        }

        foreach (RunningReplica running in all)
        {
            await running.Loop.DisposeAsync();
            await running.Host.DisposeAsync();
        }
    }

    private bool TryFind(ReplicaId replica, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ReplicaHost? host)
    {
        lock (_lock)
        {
            host = _replicas.TryGetValue(replica.Value, out RunningReplica? running) ? running.Host : null;
            return host is not null;
        }
    }

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

    /// <summary>After the replica itself: what is left is ours, or somebody else's and stays.</summary>
    private static void RemoveFolder(string folder)
    {
        TargetOrder.Delete(folder);
        ReplicaFolders.RemoveEmpty(folder);
    }

    private void Start(ReplicaHost host)
    {
        RunningReplica running = new(host, logger);
        lock (_lock)
        {
            _replicas[host.Spec.Replica.Value] = running;
        }

        running.Loop.Start();
    }

    /// <exception cref="ErrorException">A replica of the VM stands in its folder and could not be opened.</exception>
    private void RequireReadable(VmId vm)
    {
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
    }
}
