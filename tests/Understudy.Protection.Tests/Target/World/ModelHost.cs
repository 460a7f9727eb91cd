using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>What outlives an agent on a host: images, storage daemons, VMs with their block jobs, networks; with QEMU's
/// own rule of who may open an image beside whom. All of it is used under its lock.</summary>
internal sealed class ModelHost
{
    public Lock Lock { get; } = new();

    /// <summary>The present one; another after <see cref="Reboot"/>.</summary>
    public string Boot { get; private set; } = "boot-1";

    /// <summary>Calls to the outside that fail now: "Destroy", "Suspend", or the path of an image that cannot be deleted.</summary>
    public HashSet<string> Failing { get; } = [];

    /// <summary>What the start guard was told last, by VM.</summary>
    public Dictionary<VmId, OwnershipRecord> Guarded { get; } = [];

    public SortedDictionary<string, ModelImage> Images { get; } = new(StringComparer.Ordinal);

    /// <summary>Links, and where each leads in the end.</summary>
    public Dictionary<string, string> Links { get; } = [];

    public SortedDictionary<string, StorageDaemonSpec> Daemons { get; } = new(StringComparer.Ordinal);

    private readonly Dictionary<string, int> _processes = [];

    /// <summary>Of the daemon that runs under that name.</summary>
    public int ProcessOf(string daemon) => _processes.GetValueOrDefault(daemon, 1);

    /// <summary>No two that ran ever had the same number.</summary>
    public int NewProcess(string daemon) => _processes[daemon] = _processes.Count + _processes.Values.Sum() + 1;

    public Dictionary<VmId, ModelDomain> Domains { get; } = [];

    public SortedDictionary<string, HostDeviceSet> Devices { get; } = new(StringComparer.Ordinal);

    public HashSet<string> DevicesInUse { get; } = [];

    public SortedDictionary<string, string> Networks { get; } = new(StringComparer.Ordinal);

    /// <summary>The daemon that serves a socket; null when none does.</summary>
    public StorageDaemonSpec? DaemonAt(string socket)
    {
        lock (Lock)
        {
            return Daemons.Values.FirstOrDefault(daemon => daemon.SocketPath == socket);
        }
    }

    /// <summary>As they are now, beside an agent that goes on working.</summary>
    public IReadOnlyList<string> ImagePaths()
    {
        lock (Lock)
        {
            return [.. Images.Keys];
        }
    }

    /// <inheritdoc cref="ImagePaths"/>
    public IReadOnlyList<string> DaemonNames()
    {
        lock (Lock)
        {
            return [.. Daemons.Keys];
        }
    }

    /// <summary>Everything that ran is gone; what is on disk and defined stays. The agent is to be followed by another.</summary>
    public void Reboot(string boot)
    {
        lock (Lock)
        {
            Boot = boot;
            Daemons.Clear();
            Devices.Clear();
            foreach (ModelDomain domain in Domains.Values)
            {
                domain.PowerOff();
            }
        }
    }

    public ModelImage Image(string path)
    {
        lock (Lock)
        {
            return Images[path];
        }
    }

    public bool IsOpenByADaemon(string image, bool forWriting)
    {
        lock (Lock)
        {
            return Daemons.Values
                .SelectMany(daemon => daemon.Exports)
                .Any(export => export.Backing is StorageBacking.Image open && open.Path == image && (export.Writable || !forWriting));
        }
    }
}

/// <summary>A VM: what it runs on now, and what its next start would use.</summary>
internal sealed class ModelDomain(string name)
{
    public string Name { get; } = name;

    public required string Inactive { get; set; }

    /// <summary>Null when it is off.</summary>
    public string? Live { get; set; }

    public bool IsPaused { get; set; }

    /// <summary>A read of its disks has failed: it stands still until somebody resumes it.</summary>
    public bool HasReadError { get; set; }

    public int Starts { get; set; }

    public Dictionary<string, ModelJob> Jobs { get; } = [];

    public List<string> Checkpoints { get; } = [];

    public void PowerOff()
    {
        Live = null;
        IsPaused = false;
        HasReadError = false;
        Jobs.Clear();
    }
}

internal sealed record ModelJob(BlockJobKind Kind, string Destination, bool Ready);
