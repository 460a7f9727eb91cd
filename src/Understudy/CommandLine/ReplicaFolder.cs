using Understudy.Agent;
using Understudy.Agent.Places;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Journal.Records;
using Understudy.Protection;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Standalone;
using Understudy.Qemu;

namespace Understudy.CommandLine;

/// <summary>A replica read from its folder in this process: no agent and no vault take part.</summary>
internal sealed class ReplicaFolder : IAsyncDisposable
{
    private readonly ReplicasLock _lock;
    private readonly string _runtime;
    private readonly StandaloneReplica _replica;

    private ReplicaFolder(ReplicasLock held, string runtime, StandaloneReplica replica)
    {
        _lock = held;
        _runtime = runtime;
        _replica = replica;
    }

    /// <param name="folder">REPLICAS/VM-ID of the host that kept it, or a copy of it.</param>
    /// <param name="images">Where the base images are now; null for where the host had them.</param>
    /// <exception cref="ErrorException">An agent has it, or it cannot be read.</exception>
    public static async Task<ReplicaFolder> OpenAsync(string folder, string? images, ILogger logger, CancellationToken cancellationToken)
    {
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (ReplicaPlace.TryRead(folder) is { } place)
        {
            await place.RequireThereAsync();
            folder = place.DataFolder;
        }

        if (ReplicaFolders.TryFind(folder) is not { } stores)
        {
            throw new ErrorException(Errors.NoReplicaIn(folder, "the folders `replica` and `host` are not in it"));
        }

        ReplicasLock held = ReplicasLock.ShareForReading(Path.GetDirectoryName(folder) ?? "/");
        return await OpenAsync(folder, stores, images, held, Directory.CreateTempSubdirectory("us-").FullName, logger, cancellationToken);
    }

    /// <summary>As above, for an agent: nothing is made beside the folder, not even a lock.</summary>
    /// <param name="runtime">A folder of this run's own for its sockets; deleted at the end.</param>
    public static async Task<ReplicaFolder> OpenUntouchedAsync(string folder, string? images, string runtime, ILogger logger, CancellationToken cancellationToken)
    {
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (ReplicaFolders.TryFind(folder) is not { } stores)
        {
            throw new ErrorException(Errors.NoReplicaIn(folder, "the folders `replica` and `host` are not in it"));
        }

        ReplicasLock held = ReplicasLock.ShareWhereThere(Path.GetDirectoryName(folder) ?? "/");
        return await OpenAsync(folder, stores, images, held, Directory.CreateDirectory(runtime).FullName, logger, cancellationToken);
    }

    private static async Task<ReplicaFolder> OpenAsync(
        string folder, ReplicaStores stores, string? images, ReplicasLock held, string runtime, ILogger logger, CancellationToken cancellationToken)
    {
        try
        {
            QemuSettings qemu = new() { DaemonFolder = runtime };
            LocalSockets sockets = new();
            StandaloneServices services = new(
                new ImageReader(qemu, sockets, runtime), new ImageTool(qemu), sockets, TimeProvider.System, new SystemIds(), runtime, logger);
            return new ReplicaFolder(held, runtime, await StandaloneReplica.OpenAsync(services, stores, images, cancellationToken));
        }
        catch (Exception e)
        {
            Directory.Delete(runtime, recursive: true);
            held.Dispose();
            throw e is UnderstudyException fault ? Told(fault, folder) : e;
        }
    }

    /// <summary>The folder of a VM's replica among an agent's; by its name there or at the source, or its id.</summary>
    public static async Task<string> FindAsync(string replicasFolder, string vm, CancellationToken cancellationToken)
    {
        List<string> found = [];
        foreach (string folder in Directory.Exists(replicasFolder) ? Directory.GetDirectories(replicasFolder).Order(StringComparer.Ordinal).ToArray() : [])
        {
            if (ReplicaFolders.TryFind(folder) is { } stores
                && await StandaloneReplica.TryReadSpecAsync(stores.State, cancellationToken) is { } spec
                && (spec.VmName == vm || spec.TargetName == vm || spec.Vm.ToString() == vm || spec.Replica.ToString() == vm))
            {
                found.Add(folder);
            }
        }

        return found.Count switch
        {
            0 => throw new ErrorException(Errors.UnknownReplica(vm)),
            1 => found[0],
            _ => throw new ErrorException(Errors.AmbiguousVm(vm, found)),
        };
    }

    public string VmName => _replica.Spec.VmName;

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<RecoveryPointInfo> Points => [.. _replica.Points.Select(Reports.Of)];

    /// <summary>Those of the newest point; none when there is no point.</summary>
    public async Task<IReadOnlyList<DiskGeometry>> GetNewestDisksAsync(CancellationToken cancellationToken)
    {
        try
        {
            return _replica.Points is [.., var newest] ? await _replica.GetDisksAsync(newest.Id, cancellationToken) : [];
        }
        catch (UnderstudyException fault)
        {
            throw Told(fault, VmName);
        }
    }

    /// <summary>A disk of the newest point, to be read; disposed before this.</summary>
    /// <exception cref="StorageException">It has none of that name, or cannot be read.</exception>
    public async Task<IBlockDevice> OpenNewestDiskAsync(string targetDevice, CancellationToken cancellationToken)
    {
        foreach (DiskGeometry disk in await GetNewestDisksAsync(cancellationToken))
        {
            if (disk.Target == targetDevice)
            {
                return await _replica.OpenDiskAsync(_replica.Points[^1].Id, disk.Disk, cancellationToken);
            }
        }

        throw new StorageException(FaultKind.Missing, VmName, $"the newest point of this replica has no disk {targetDevice}");
    }

    /// <summary>The disks, and beside them the VM's definition as it was at the source: whoever is here has nobody to ask for it.</summary>
    public async Task<IReadOnlyList<string>> ExportAsync(string? wanted, string folder, string format, CancellationToken cancellationToken)
    {
        RecoveryPointInfo point = PointChoice.Find(Points, wanted) ?? throw new ErrorException(Errors.UnknownPoint(VmName, wanted ?? PointChoice.Latest));
        try
        {
            IReadOnlyList<string> files = await _replica.ExportAsync(point.Id, folder, format, cancellationToken);
            if (await _replica.GetDefinitionAsync(point.Id, cancellationToken) is not { } xml)
            {
                return files;
            }

            string definition = Path.Combine(folder, "definition.xml");
            await File.WriteAllTextAsync(definition, xml, cancellationToken);
            return [.. files, definition];
        }
        catch (UnderstudyException fault)
        {
            throw Told(fault, folder);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _replica.DisposeAsync();
        Directory.Delete(_runtime, recursive: true);
        _lock.Dispose();
    }

    private static ErrorException Told(UnderstudyException fault, string folder) => new(
        fault is RefusedException { Code: not RefusalCode.NoSuchReplica } refused
            ? new ErrorInfo(ErrorKind.Refused, RefusalWords.CodeOf(refused.Code), refused.Message.TrimEnd('.'), "Nothing was changed.", refused.Remedy ?? "See docs/formats.")
            : Errors.NoReplicaIn(folder, fault.Remedy is null ? fault.Message : $"{fault.Message.TrimEnd('.')}. {fault.Remedy}"),
        fault);
}
