using Understudy.Blocks;
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
        return _host.Disk.OpenDevice(_process, $"{_folder}/{disk.Target}.img", disk.SizeBytes, readOnly);
    }
}
