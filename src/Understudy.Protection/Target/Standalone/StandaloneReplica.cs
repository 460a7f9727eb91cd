using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target.Standalone;

/// <param name="RuntimeFolder">A folder of this run's own for its sockets.</param>
public sealed record StandaloneServices(
    IImageReader Reader, IImageTool Images, ILocalSockets Sockets, TimeProvider Time, IIdSource Ids, string RuntimeFolder, ILogger Logger);

/// <summary>
/// A replica read from its folders alone: no agent, no vault, no hypervisor (FO-8). Nothing in the folders is written; what
/// opening would mend (a torn tail, an interrupted apply) is mended in memory and forgotten. The caller sees to it that no
/// agent has the replica meanwhile.
/// </summary>
public sealed class StandaloneReplica : IAsyncDisposable
{
    private readonly StandaloneServices _services;
    private readonly UnwrittenStore _store;
    private readonly StandaloneImages _images;
    private readonly Replica _replica;

    private StandaloneReplica(StandaloneServices services, ReplicaSpec spec, UnwrittenStore store, StandaloneImages images, Replica replica)
    {
        _services = services;
        _store = store;
        _images = images;
        _replica = replica;
        Spec = spec;
    }

    public ReplicaSpec Spec { get; }

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<RecoveryPoint> Points => _replica.Points;

    /// <summary>The host's record of the replica alone; null when the folder holds none.</summary>
    public static ValueTask<ReplicaSpec?> TryReadSpecAsync(IFileStore state, CancellationToken cancellationToken) =>
        RunFiles.ReplicaDocument.LoadAsync(state, RunFiles.Replica, cancellationToken);

    /// <param name="imageFolder">Where the base images are now; null for where the host had them.</param>
    /// <exception cref="RefusedException">There is none, or its disks have become a VM's own.</exception>
    public static async ValueTask<StandaloneReplica> OpenAsync(
        StandaloneServices services, ReplicaStores stores, string? imageFolder, CancellationToken cancellationToken)
    {
        ReplicaSpec spec = await TryReadSpecAsync(stores.State, cancellationToken)
            ?? throw new RefusedException(RefusalCode.NoSuchReplica, "There is no record of a replica in this folder.", "Name the folder REPLICAS/VM-ID of the host.");
        spec = imageFolder is null ? spec : spec with { ImageFolder = imageFolder };
        if (await RunFiles.FailoverDocument.LoadAsync(stores.State, RunFiles.Failover, cancellationToken) is { Step: > FailoverStep.EndingViews } failover)
        {
            throw new RefusedException(
                RefusalCode.NoSuchReplica, $"{spec.VmName} was failed over here and committed: its disks are ordinary images.",
                $"Copy them with qemu-img while {failover.VmName} is off: {string.Join(", ", failover.Disks.Select(disk => disk.Base))}.");
        }

        UnwrittenStore store = new(stores.Journal);
        StandaloneImages images = new(new ReplicaPlaces(spec, new TargetSettings { RuntimeFolder = services.RuntimeFolder, LogFolder = services.RuntimeFolder }), services.Reader, services.Images);
        try
        {
            Replica replica = await Replica.OpenAsync(
                new ReplicaEnvironment(store, images, services.Time, services.Ids, ReplicaSettings.Default, services.Logger), cancellationToken);
            return new StandaloneReplica(services, spec, store, images, replica);
        }
        catch
        {
            await images.DisposeAsync();
            await store.DisposeAsync();
            throw;
        }
    }

    /// <summary>The disks of a point.</summary>
    public async ValueTask<IReadOnlyList<DiskGeometry>> GetDisksAsync(RecoveryPointId point, CancellationToken cancellationToken) =>
        (await TestRuns.GetPointAsync(_replica, point, cancellationToken)).Geometry.Disks;

    /// <summary>A disk of a point, to be read; disposed before this.</summary>
    /// <exception cref="StorageException">Its base image is not where it should be, or anything else of it.</exception>
    public async ValueTask<IBlockDevice> OpenDiskAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken)
    {
        foreach (DiskGeometry image in _replica.BaseDisks.Where(image => image.Disk == disk))
        {
            await (await _images.OpenAsync(image, readOnly: true, cancellationToken)).DisposeAsync(); // Said now, not at the first read.
        }

        return await _replica.OpenViewAsync(point, disk, cancellationToken);
    }

    /// <summary>The VM's definition at the point, as it was at the source; null when the source never sent one.</summary>
    public async ValueTask<string?> GetDefinitionAsync(RecoveryPointId point, CancellationToken cancellationToken) =>
        (await TestRuns.GetPointAsync(_replica, point, cancellationToken)).DefinitionXml;

    /// <summary>Writes each disk of the point as <c>folder/vda.qcow2</c> (or <c>.raw</c>); the folder must be new or empty.</summary>
    public async ValueTask<IReadOnlyList<string>> ExportAsync(RecoveryPointId point, string folder, string format, CancellationToken cancellationToken)
    {
        PointContents contents = await TestRuns.GetPointAsync(_replica, point, cancellationToken);
        ExportFolder export = await ExportFolder.OpenAsync(_services.Images, folder, format, $"{point}", cancellationToken);
        string socket = $"{_services.RuntimeFolder}/view.sock";
        ViewServer views = new(new Views(_replica), _services.Sockets, socket, _services.Time, _services.Logger);
        views.Hold(Guid.Empty, point, "export");
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        TaskCompletionSource serves = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task serving = views.RunAsync(() => serves.TrySetResult(), stop.Token);
        try
        {
            await await Task.WhenAny(serves.Task, serving);
            return await export.WriteAsync(
                contents.Geometry.Disks,
                disk => disk.Target,
                (disk, file) => _services.Images.ConvertFromNbdAsync(socket, ViewExportName.For(point, disk.Disk), file, format, cancellationToken),
                cancellationToken);
        }
        finally
        {
            stop.Cancel();
            await serving;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _replica.DisposeAsync();
        await _images.DisposeAsync();
        await _store.DisposeAsync();
    }

    private sealed class Views(Replica replica) : IViews
    {
        public async ValueTask<IBlockDevice> OpenAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken) =>
            await replica.OpenViewAsync(point, disk, cancellationToken);
    }
}
