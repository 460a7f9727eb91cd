using System.Globalization;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Protection.Target.Hosting;

/// <summary>Every path and name that a replica and its runs use on this host: pure functions of durable facts, so that a
/// restarted agent finds all of it again without having remembered it.</summary>
internal sealed class ReplicaPlaces(ReplicaSpec spec, TargetSettings settings)
{
    /// <summary>48 random bits: unique among the few thousand names a host has, and short enough for socket paths.</summary>
    private const int KeyLength = 12;

    private readonly string _runtime = $"{settings.RuntimeFolder}/{Key(spec.Replica.Value)}";

    /// <summary>All sockets of this replica.</summary>
    public string RuntimeFolder => _runtime;

    /// <summary>The socket of a base image's daemon: the agent connects.</summary>
    public string BaseSocket(DiskId disk) => string.Create(CultureInfo.InvariantCulture, $"{_runtime}/base-{disk}.sock");

    public string BaseDaemon(DiskId disk) => string.Create(CultureInfo.InvariantCulture, $"base-{Key(spec.Replica.Value)}-{disk}");

    /// <summary>The agent's view server: run daemons and the image tool connect.</summary>
    public string ViewSocket => $"{_runtime}/view.sock";

    public string ImageFolder => spec.ImageFolder;

    /// <summary>A disk's base image; after a commit, the VM's own disk.</summary>
    public string BaseImage(DiskGeometry disk) =>
        string.Create(CultureInfo.InvariantCulture, $"{spec.ImageFolder}/{disk.Target}-{disk.Disk}.qcow2");

    /// <summary>A run's daemon socket: the guest's QEMU connects.</summary>
    public string RunSocket(Guid run) => $"{_runtime}/run-{Key(run)}.sock";

    public static string RunDaemon(Guid run) => $"run-{Key(run)}";

    public string TestOverlay(Guid test, string targetDevice) => $"{spec.ImageFolder}/test-{Key(test)}-{targetDevice}.qcow2";

    public string FailoverOverlay(Guid failover, string targetDevice) => $"{spec.ImageFolder}/failover-{Key(failover)}-{targetDevice}.qcow2";

    public string SecondOverlay(Guid failover, string targetDevice) => $"{spec.ImageFolder}/merge-{Key(failover)}-{targetDevice}.qcow2";

    public string MountOverlay(Guid mount, string targetDevice) => $"{spec.ImageFolder}/mount-{Key(mount)}-{targetDevice}.qcow2";

    /// <summary>Files of the daemon that shows a mount as devices.</summary>
    public string MountFolder(Guid mount) => $"{_runtime}/mount-{Key(mount)}";

    public static string MountDaemon(Guid mount) => $"mount-{Key(mount)}";

    /// <summary>Begins with the product's name, as all checkpoints of ours do.</summary>
    public static string Bitmap(Guid failover) => $"understudy-since-{Key(failover)}";

    public string LogFolder(string vmName) => $"{settings.LogFolder}/{vmName}";

    private static string Key(Guid id) => id.ToString("N")[..KeyLength];
}
