using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ports;

/// <summary>
/// What Understudy asks of a hypervisor, in roles. Two implementations: libvirt, and the model in the simulation. Every
/// call can throw <see cref="HypervisorException"/>; a call that hangs is ended by its token, and the caller then reads
/// the state back before it does anything else.
/// </summary>
public interface IHypervisor : IVmInventory, IVmCapture, IVmLifecycle, IVmDisks, IVmBlockJobs, IVirtualNetworks
{
}

/// <summary>What is there.</summary>
public interface IVmInventory
{
    ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken);

    ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken);

    ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken);

    /// <summary>The domain XML; the inactive one describes the next start, the live one what runs now.</summary>
    ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken);
}

/// <summary>Change tracking and cuts (docs/protocols/capture.md).</summary>
public interface IVmCapture
{
    /// <summary>Names of all checkpoints of the VM, oldest first, ours and others'.</summary>
    ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken);

    /// <summary>
    /// Cuts all named disks at one instant: the new checkpoint begins there, and the capture shows the content at the
    /// cut. Throws with <see cref="HypervisorFault.TrackingLost"/> when <see cref="CaptureRequest.Since"/> is missing or
    /// its bitmap is not consistent.
    /// </summary>
    ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Drops a checkpoint; its changes are merged into the one before it (libvirt's rule), so dropping the newest after
    /// a failed cycle loses nothing. No error when it does not exist.
    /// </summary>
    ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken);

    /// <summary>Ends whatever capture an earlier process of ours left running, and removes its scratch files.</summary>
    ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken);
}

/// <summary>One cut, open for reading. Disposing ends the job and removes scratch, whatever happened before.</summary>
public interface ICapture : IAsyncDisposable
{
    /// <summary>In the order of the request.</summary>
    IReadOnlyList<CapturedDisk> Disks { get; }

    /// <summary>When the cut was made, by this host's clock.</summary>
    DateTimeOffset CutAt { get; }

    /// <summary>Ranges written since <see cref="CaptureRequest.Since"/>, sorted and coalesced; throws when there was no since.</summary>
    ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken);

    /// <summary>Which parts of the range hold data (holes and zeros need not be read).</summary>
    ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken);

    /// <summary>Ends the job normally and waits until the hypervisor has cleaned up.</summary>
    ValueTask EndAsync(CancellationToken cancellationToken);
}

/// <param name="Since">The checkpoint whose changes are wanted; null for none (the whole disk is read by slices).</param>
/// <param name="NewCheckpoint">Name of the checkpoint that begins at this cut.</param>
/// <param name="Disks">All in one transaction.</param>
/// <param name="ScratchBytesLimit">Half of it used ends the job; a full scratch would pause the guest.</param>
public sealed record CaptureRequest(VmId Vm, string? Since, string NewCheckpoint, IReadOnlyList<CaptureDisk> Disks, long ScratchBytesLimit)
{
    public IReadOnlyList<string> TargetDevices => [.. Disks.Select(disk => disk.TargetDevice)];
}

/// <param name="TargetDevice">As the guest's definition names it (vda, vdb, …).</param>
/// <param name="WantsChanges">False when <see cref="CaptureRequest.Since"/> need not know the disk: it came later.</param>
public sealed record CaptureDisk(string TargetDevice, bool WantsChanges = true);

/// <param name="Content">The disk as it was at the cut; read-only; owned by the capture.</param>
public sealed record CapturedDisk(string TargetDevice, long SizeBytes, IBlockDevice Content);

/// <summary>Definitions and runs.</summary>
public interface IVmLifecycle
{
    ValueTask<VmRunState> GetRunStateAsync(VmId vm, CancellationToken cancellationToken);

    ValueTask<VmId> DefineAsync(string domainXml, CancellationToken cancellationToken);

    /// <summary>Removes the definition with checkpoint and snapshot metadata; no error when it does not exist.</summary>
    ValueTask UndefineAsync(VmId vm, CancellationToken cancellationToken);

    ValueTask StartAsync(VmId vm, CancellationToken cancellationToken);

    ValueTask ResumeAsync(VmId vm, CancellationToken cancellationToken);

    ValueTask SuspendAsync(VmId vm, CancellationToken cancellationToken);

    /// <summary>Asks the guest to power off; returns when asked, not when off.</summary>
    ValueTask RequestShutdownAsync(VmId vm, CancellationToken cancellationToken);

    /// <summary>Plugs every network cable of the running VM in or out. No error when it is so already.</summary>
    ValueTask SetLinksAsync(VmId vm, bool up, CancellationToken cancellationToken);

    /// <summary>Ends the run at once; no error when it is not running.</summary>
    ValueTask DestroyAsync(VmId vm, CancellationToken cancellationToken);

    /// <summary>A QMP command to the running VM's QEMU; the JSON answer's "return" member.</summary>
    ValueTask<string> MonitorCommandAsync(VmId vm, string qmpJson, CancellationToken cancellationToken);
}

/// <summary>Disks that come and go while a VM runs.</summary>
public interface IVmDisks
{
    /// <summary>Gives the running VM another disk; its definition stays as it is.</summary>
    ValueTask AttachDiskAsync(VmId vm, string diskXml, CancellationToken cancellationToken);

    /// <summary>Asks the running VM to let go of a disk, by its alias. Returns when asked: a guest takes its time, and the live
    /// definition tells whether it has. No error when it has no such disk, or is asked for it already.</summary>
    ValueTask RequestDetachAsync(VmId vm, string alias, CancellationToken cancellationToken);
}

/// <summary>Moving a running VM's disks underneath it.</summary>
public interface IVmBlockJobs
{
    /// <summary>Shallow live copy of the disk's top layer onto an image that exists already.</summary>
    ValueTask StartShallowCopyAsync(VmId vm, string targetDevice, string destinationPath, string format, CancellationToken cancellationToken);

    /// <summary>Commits the active layer into its backing image.</summary>
    ValueTask StartActiveCommitAsync(VmId vm, string targetDevice, CancellationToken cancellationToken);

    /// <summary>Null when the disk has no job.</summary>
    ValueTask<BlockJobFacts?> GetBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken);

    ValueTask PivotAsync(VmId vm, string targetDevice, CancellationToken cancellationToken);

    ValueTask AbortBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken);

    /// <summary>Makes libvirt know a bitmap that is in the image already as a checkpoint of that name.</summary>
    ValueTask RedefineCheckpointAsync(VmId vm, string name, IReadOnlyList<string> targetDevices, CancellationToken cancellationToken);
}

public interface IVirtualNetworks
{
    ValueTask<IReadOnlyList<NetworkFacts>> ListNetworksAsync(CancellationToken cancellationToken);

    /// <summary>Defines nothing persistent: the network lives until it is destroyed or the host restarts.</summary>
    ValueTask CreateNetworkAsync(string networkXml, CancellationToken cancellationToken);

    /// <summary>No error when it does not exist.</summary>
    ValueTask DestroyNetworkAsync(string name, CancellationToken cancellationToken);
}

public enum DefinitionKind
{
    Live,
    Inactive,
}

public enum VmRunState
{
    /// <summary>No such VM is defined or running here.</summary>
    Absent,
    Off,
    Running,
    Paused,

    /// <summary>Paused by the hypervisor after an I/O error; goes on only after a resume.</summary>
    PausedIoError,
    ShuttingDown,
    Crashed,
}

public enum BlockJobKind
{
    Copy,
    ActiveCommit,
    Commit,
    Pull,
    Backup,
    Unknown,
}

/// <param name="Ready">The job has caught up and can be pivoted.</param>
public sealed record BlockJobFacts(BlockJobKind Kind, long DoneBytes, long TotalBytes, bool Ready);

/// <param name="Type">dir, fs, netfs, logical, …</param>
/// <param name="Path">Where its volumes are; null where it has no place in the file system.</param>
public sealed record PoolFacts(string Name, string Type, string? Path, bool Active);

public sealed record NetworkFacts(string Name, bool Active, bool Isolated, string? Bridge);

/// <param name="CpuModel">The processor, by the nearest name the hypervisor has for it.</param>
/// <param name="Firmwares">That the hypervisor can choose for a VM, beside what definitions name.</param>
/// <param name="MachineCpus">The most CPUs that a machine type takes, where the hypervisor says so.</param>
public sealed record HostFacts(
    string HostName,
    string HypervisorVersion,
    string EmulatorVersion,
    bool HardwareAcceleration,
    long MemoryBytes,
    long FreeMemoryBytes,
    int Cpus,
    IReadOnlyList<string> MachineTypes,
    IReadOnlyList<NetworkFacts> Networks,
    string? CpuModel = null,
    IReadOnlyList<string>? Firmwares = null,
    IReadOnlyDictionary<string, int>? MachineCpus = null,
    IReadOnlyList<PoolFacts>? Pools = null);

/// <param name="Autostart">The hypervisor starts it with the host.</param>
/// <param name="Tags">Of its stored definition, where it has one.</param>
/// <param name="Needs">Likewise: at its next start, here or elsewhere.</param>
/// <param name="HasSavedState">It is off, and its memory is kept, by libvirt or in a file of somebody's: its disks alone are not
/// the whole VM.</param>
/// <param name="LeftBehind">Devices of the host that a VM made from this definition elsewhere starts without.</param>
/// <param name="EndedByForce">It is off, and known not to have shut down in order: its disks are as after a power cut.</param>
public sealed record VmFacts(
    VmId Id,
    string Name,
    VmRunState State,
    int Cpus,
    long MemoryBytes,
    string Firmware,
    string MachineType,
    bool Persistent,
    bool HasGuestAgentChannel,
    bool HasSnapshots,
    IReadOnlyList<VmDiskFacts> Disks,
    IReadOnlyList<VmNicFacts> Nics,
    bool Autostart = false,
    IReadOnlyList<string>? Tags = null,
    MachineNeeds? Needs = null,
    bool HasSavedState = false,
    bool EndedByForce = false,
    IReadOnlyList<string>? LeftBehind = null);

/// <param name="Source">Path of the image or block device, also where the definition names a volume of a pool; otherwise, or
/// while the volume is not found, the source as libvirt names it.</param>
public sealed record VmDiskFacts(string TargetDevice, string Bus, string Device, string Format, string SourceType, string? Source, long SizeBytes, bool ReadOnly, bool Shareable)
{
    /// <summary>The file or block device of this host that holds it; null when it is none, or not known to be one.</summary>
    public string? Path => SourceType is "file" or "block" or "volume" && Source is ['/', ..] path ? path : null;
}

public sealed record VmNicFacts(string Mac, string? Network, string Model);

public enum HypervisorFault
{
    /// <summary>The hypervisor's daemon cannot be reached.</summary>
    Unreachable,
    NoSuchVm,
    NotRunning,
    TrackingLost,
    Busy,
    Refused,
    ScratchFull,
    TimedOut,
    Other,
}

/// <summary>A call to the hypervisor that did not do what was asked, with the hypervisor's own words.</summary>
public sealed class HypervisorException(HypervisorFault fault, string message, string? remedy = null, Exception? inner = null)
    : UnderstudyException(
        fault is HypervisorFault.Unreachable or HypervisorFault.Busy or HypervisorFault.TimedOut or HypervisorFault.ScratchFull or HypervisorFault.TrackingLost
            ? FaultClass.Transient
            : FaultClass.NeedsOperator,
        message,
        remedy,
        inner)
{
    public HypervisorFault Fault { get; } = fault;
}
