using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Libvirt;
using Understudy.Qemu;

namespace Understudy.Bench;

/// <summary>
/// A libvirt host of the run's own, with a folder that holds everything the run makes. Ends what it started by the process
/// ids in that folder, and what an earlier run left that was killed.
/// </summary>
internal sealed class BenchHost : IAsyncDisposable
{
    private const string Prefix = "us-bench-";

    private static readonly string Script = Path.Combine(AppContext.BaseDirectory, "private-host.sh");

    private BenchHost(string folder)
    {
        Folder = folder;
        Qemu = QemuIn(folder);
        Images = new ImageTool(Qemu);
        Hypervisor = new LibvirtHypervisor(
            new LibvirtSettings { Uri = Uri, ScratchFolder = At("vm/scratch") }, TimeProvider.System, SystemIds.Instance, Images, NullLogger.Instance);
    }

    public string Folder { get; }

    public string Uri => $"qemu+unix:///system?socket={Folder}/run/libvirt-sock";

    public QemuSettings Qemu { get; }

    public ImageTool Images { get; }

    public LibvirtHypervisor Hypervisor { get; }

    public static async Task<BenchHost> StartAsync(CancellationToken cancellationToken)
    {
        await EndOrphansAsync();
        string folder = Path.Combine("/tmp", Prefix + Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        try
        {
            await Command.RunAsync("bash", cancellationToken, Script, folder, "start");
        }
        catch
        {
            await EndAsync(folder);
            throw;
        }

        return new BenchHost(folder);
    }

    public string At(string name) => Path.Combine(Folder, name);

    /// <summary>A folder that QEMU's own user can write to as well.</summary>
    public string OpenFolder(string name)
    {
        string folder = Directory.CreateDirectory(At(name)).FullName;
        File.SetUnixFileMode(folder, (UnixFileMode)0b111_111_111);
        return folder;
    }

    public async ValueTask DisposeAsync()
    {
        await Hypervisor.DisposeAsync();
        await EndAsync(Folder);
    }

    private static async Task EndOrphansAsync()
    {
        foreach (string folder in Directory.GetDirectories("/tmp", Prefix + "*"))
        {
            if (!Directory.Exists("/proc/" + folder[(folder.LastIndexOf('-') + 1)..]))
            {
                await EndAsync(folder);
            }
        }
    }

    private static async Task EndAsync(string folder)
    {
        StorageDaemons daemons = new(QemuIn(folder), NullLogger<StorageDaemons>.Instance);
        foreach (string daemon in await daemons.ListAsync(CancellationToken.None))
        {
            await daemons.StopAsync(daemon, Path.Combine(folder, daemon + ".sock"), CancellationToken.None); // Sockets go with the folder.
        }

        await Command.RunAsync("bash", CancellationToken.None, Script, folder, "stop");
    }

    private static QemuSettings QemuIn(string folder) => new() { DaemonFolder = Path.Combine(folder, "daemons"), LaunchPrefix = [] };
}
