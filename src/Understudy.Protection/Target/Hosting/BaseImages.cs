using System.Globalization;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Nbd;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Hosting;

/// <summary>Who may open the base images now.</summary>
internal enum BaseAccess
{
    ReadWrite,

    /// <summary>The commit needs them without a writer (its pivot opens them as a backing file).</summary>
    ReadOnly,

    /// <summary>They belong to the guest's QEMU alone: its image lock refuses even a reader.</summary>
    None,
}

/// <summary>
/// The base images of one replica, each opened by a storage daemon of its own and reached over its socket. One daemon a
/// disk, so that a new disk, or one whose flush failed, never costs another one its connection: a write on a connection
/// that ends is a lost write. A daemon that died is started again by the next connection; what was written and not
/// flushed is then reported as lost by the device (<see cref="ReconnectingNbdDevice"/>).
/// </summary>
internal sealed class BaseImages(ReplicaPlaces places, TargetServices services) : IBaseImages
{
    private const string Format = "qcow2";

    /// <summary>The only export of a base daemon.</summary>
    private const string Export = "base";

    private readonly AsyncGate _gate = new();
    private readonly HashSet<DiskId> _suspects = [];
    private BaseAccess _access = BaseAccess.ReadWrite;

    public async ValueTask<IBlockDevice> OpenAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken)
    {
        using (await _gate.EnterAsync(cancellationToken))
        {
            Invariant.Check(_access == BaseAccess.ReadWrite || (readOnly && _access == BaseAccess.ReadOnly), $"base image of disk {disk.Target} opened in the wrong phase of a commit");
            await PrepareAsync(disk, readOnly, cancellationToken);
        }

        IBlockDevice device = await ReconnectingNbdDevice.OpenAsync(
            $"base image {places.BaseImage(disk)}", token => ConnectAsync(disk, token), services.Time, new NbdReconnectOptions(), cancellationToken);
        return readOnly ? new ReadOnlyDevice(device) : new FlushWatch(device, disk.Disk, this);
    }

    /// <summary>Opens the images in another way, or not at all any more. What was written must have been flushed.</summary>
    public async ValueTask ChangeAccessAsync(BaseAccess access, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _access = access;
        foreach ((DiskId disk, string image) in await FindImagesAsync(cancellationToken))
        {
            if (access == BaseAccess.None)
            {
                await StopDaemonAsync(disk, cancellationToken);
            }
            else
            {
                await EnsureDaemonAsync(disk, image, cancellationToken);
            }
        }
    }

    /// <summary>Ends the daemons and deletes the images.</summary>
    /// <exception cref="RefusedException">A VM of this host has one of them as a disk: whoever asks is mistaken.</exception>
    public async ValueTask DeleteAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<(DiskId Disk, string Path)> images = await FindImagesAsync(cancellationToken);
        await RequireUnusedAsync([.. images.Select(image => image.Path)], cancellationToken);
        await ChangeAccessAsync(BaseAccess.None, cancellationToken);
        foreach ((_, string image) in images)
        {
            await services.Images.DeleteAsync(image, cancellationToken);
        }

        await services.Images.DeleteFolderIfEmptyAsync(places.ImageFolder, cancellationToken);
    }

    /// <summary>One disk's, whoever may open the others.</summary>
    public async ValueTask DeleteAsync(DiskId disk, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        foreach ((DiskId found, string image) in await FindImagesAsync(cancellationToken))
        {
            if (found == disk)
            {
                await StopDaemonAsync(disk, cancellationToken);
                await services.Images.DeleteAsync(image, cancellationToken);
            }
        }
    }

    /// <summary>What is named as a base image and is no disk of the VM that stays. It may be its owner's by now, so it is only named.</summary>
    public async ValueTask<IReadOnlyList<string>> ListOthersAsync(IReadOnlySet<string> stay, CancellationToken cancellationToken) =>
        [.. (await FindImagesAsync(cancellationToken)).Select(image => image.Path).Where(path => !stay.Contains(path))];

    private async ValueTask RequireUnusedAsync(HashSet<string> images, CancellationToken cancellationToken)
    {
        if (images.Count == 0)
        {
            return;
        }

        foreach (VmFacts vm in await services.Hypervisor.ListVmsAsync(cancellationToken))
        {
            if (vm.Disks.FirstOrDefault(disk => disk.Source is { } path && images.Contains(path)) is { } used)
            {
                throw new RefusedException(
                    RefusalCode.Busy, $"{used.Source} is a disk of VM {vm.Name}, and was to be deleted as a base image.", "Give that VM other disks first, or remove its definition.");
            }
        }
    }

    private async ValueTask PrepareAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken)
    {
        string image = places.BaseImage(disk);
        ImageFacts? facts = await services.Images.FindAsync(image, cancellationToken);
        if (facts is null && readOnly)
        {
            throw new StorageException(FaultKind.Missing, image, "the base image is missing", "Bring it back to this place, or stop protecting the VM and protect it again.");
        }

        if (_suspects.Remove(disk.Disk))
        {
            // A flush failed: nothing the old process still holds in memory may be taken for durable.
            await StopDaemonAsync(disk.Disk, cancellationToken);
        }

        if (facts is null)
        {
            await services.Images.CreateAsync(image, Format, disk.SizeBytes, cancellationToken);
        }
        else if (facts.SizeBytes < disk.SizeBytes && !readOnly)
        {
            await StopDaemonAsync(disk.Disk, cancellationToken);
            await services.Images.GrowAsync(image, Format, disk.SizeBytes, cancellationToken);
        }

        await EnsureDaemonAsync(disk.Disk, image, cancellationToken);
    }

    private async ValueTask<NbdClient> ConnectAsync(DiskGeometry disk, CancellationToken cancellationToken)
    {
        using (await _gate.EnterAsync(cancellationToken))
        {
            if (_access == BaseAccess.None)
            {
                throw new StorageException(FaultKind.Closed, places.ImageFolder, "the base images belong to the running VM");
            }

            await EnsureDaemonAsync(disk.Disk, places.BaseImage(disk), cancellationToken);
        }

        Stream stream = await services.Sockets.ConnectAsync(places.BaseSocket(disk.Disk), cancellationToken);
        return await NbdClient.ConnectAsync(stream, new NbdClientOptions { Export = Export }, cancellationToken);
    }

    private async ValueTask EnsureDaemonAsync(DiskId disk, string image, CancellationToken cancellationToken) => await services.Daemons.EnsureAsync(
        new StorageDaemonSpec(
            places.BaseDaemon(disk),
            places.BaseSocket(disk),
            ForGuests: false,
            [new StorageExport(Export, new StorageBacking.Image(image, Format), Writable: _access == BaseAccess.ReadWrite)]),
        cancellationToken);

    private ValueTask StopDaemonAsync(DiskId disk, CancellationToken cancellationToken) =>
        services.Daemons.StopAsync(places.BaseDaemon(disk), places.BaseSocket(disk), cancellationToken);

    private async ValueTask SuspectAsync(DiskId disk)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(CancellationToken.None);
        _suspects.Add(disk);
    }

    /// <summary>Base images are named <c>target-number.qcow2</c> (<see cref="ReplicaPlaces.BaseImage"/>); overlays are not.</summary>
    private async ValueTask<IReadOnlyList<(DiskId Disk, string Path)>> FindImagesAsync(CancellationToken cancellationToken)
    {
        List<(DiskId Disk, string Path)> found = [];
        foreach (string path in await services.Images.ListAsync(places.ImageFolder, cancellationToken))
        {
            string name = path[(path.LastIndexOf('/') + 1)..];
            string[] parts = name.EndsWith(".qcow2", StringComparison.Ordinal) ? name[..^".qcow2".Length].Split('-') : [];
            if (parts.Length == 2 && ushort.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ushort number))
            {
                found.Add((new DiskId(number), path));
            }
        }

        return found;
    }

    /// <summary>Remembers that a flush failed, so that the next opening begins with a new process.</summary>
    private sealed class FlushWatch(IBlockDevice inner, DiskId disk, BaseImages owner) : IBlockDevice, IExtentSource
    {
        public long SizeBytes => inner.SizeBytes;

        public bool IsReadOnly => inner.IsReadOnly;

        public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) =>
            inner.ReadAsync(offsetBytes, buffer, cancellationToken);

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
            inner.WriteAsync(offsetBytes, data, cancellationToken);

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => inner.ZeroAsync(range, cancellationToken);

        public async ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            try
            {
                await inner.FlushAsync(cancellationToken);
            }
            catch (StorageException)
            {
                await owner.SuspectAsync(disk);
                throw;
            }
        }

        public ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken) =>
            ((IExtentSource)inner).GetExtentsAsync(range, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
