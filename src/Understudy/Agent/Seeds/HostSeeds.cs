using System.Globalization;
using Understudy.Blocks;
using Understudy.CommandLine;
using Understudy.Model;
using Understudy.Nbd;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Seeds;
using Understudy.Qemu;

namespace Understudy.Agent.Seeds;

/// <summary>
/// Seeds on this host: images and block devices through qemu-nbd, read-only and with QEMU's lock shared; old replicas by
/// their own format. What serves one ends with its connection, so a killed agent leaves only sockets behind, in a folder that
/// the next one empties.
/// </summary>
internal sealed class HostSeeds : ISeeds
{
    /// <summary>Of a share or a disk that hangs: unreadable then, which is tried again and given up after a while.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(30);

    private readonly ILogger _logger;
    private readonly string _runtime;
    private readonly ImageReader _reader;
    private int _opened;

    public HostSeeds(string runFolder, QemuSettings qemu, ILocalSockets sockets, ILogger logger)
    {
        _logger = logger;
        _runtime = Path.Combine(runFolder, "seeds");
        if (Directory.Exists(_runtime))
        {
            Directory.Delete(_runtime, recursive: true);
        }

        Directory.CreateDirectory(_runtime);
        _reader = new ImageReader(qemu, sockets, _runtime);
    }

    public async ValueTask<IBlockDevice> OpenAsync(SeedPlace place, CancellationToken cancellationToken)
    {
        try
        {
            return place.Format == SeedPlace.Replica
                ? await OpenReplicaAsync(place, cancellationToken)
                : await OpenImageAsync(place, cancellationToken);
        }
        catch (Exception fault) when (fault is ImageToolException or ErrorException)
        {
            throw new StorageException(
                File.Exists(place.Path) || Directory.Exists(place.Path) ? FaultKind.Io : FaultKind.Missing, place.Path, fault.Message, "Bring it back as it was, or wait: the rest is then sent.", fault);
        }
    }

    /// <summary>The folder of an old replica, opened beside whatever else goes on.</summary>
    /// <exception cref="ErrorException">It is none, or an agent has it.</exception>
    public Task<ReplicaFolder> OpenFolderAsync(string folder, string? images, CancellationToken cancellationToken) => ReplicaFolder.OpenUntouchedAsync(
        folder, images, Path.Combine(_runtime, Interlocked.Increment(ref _opened).ToString(CultureInfo.InvariantCulture)), _logger, cancellationToken);

    private async ValueTask<IBlockDevice> OpenReplicaAsync(SeedPlace place, CancellationToken cancellationToken)
    {
        ReplicaFolder replica = await OpenFolderAsync(place.Path, place.ImageFolder, cancellationToken);
        try
        {
            return new OwnedDevice(await replica.OpenNewestDiskAsync(place.TargetDevice, cancellationToken), replica);
        }
        catch
        {
            await replica.DisposeAsync();
            throw;
        }
    }

    private async ValueTask<IBlockDevice> OpenImageAsync(SeedPlace place, CancellationToken cancellationToken)
    {
        ServedImage served = await _reader.OpenAsync(place.Path, place.Format, cancellationToken);
        try
        {
            return new OwnedDevice(await NbdClient.ConnectAsync(served.Stream, new NbdClientOptions { Export = "", Patience = new NbdPatience(Silence, TimeProvider.System) }, cancellationToken), served.Server);
        }
        catch
        {
            await served.Server.DisposeAsync();
            throw;
        }
    }
}
