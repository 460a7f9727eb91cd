using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Agents;

/// <summary>The base images of one replica as files of the host's disk.</summary>
internal sealed class SimBaseImages(SimHost host, SimProcess process, string folder) : IBaseImages
{
    private readonly SimHost _host = host;
    private readonly SimProcess _process = process;
    private readonly string _folder = folder;

    public async ValueTask<IBlockDevice> OpenAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await _process.TakeTimeAsync(TimeSpan.FromMilliseconds(2));
        return _host.Disk.OpenDevice(_process, NameOf(disk.Disk), disk.SizeBytes, readOnly);
    }

    public async ValueTask DeleteAsync(DiskId disk, CancellationToken cancellationToken) =>
        await _host.Disk.OpenStore(_process, "").DeleteAsync(NameOf(disk), cancellationToken);

    /// <summary>By its number: a device's name comes back with another disk.</summary>
    private string NameOf(DiskId disk) => $"{_folder}/disk-{disk}.img";
}
