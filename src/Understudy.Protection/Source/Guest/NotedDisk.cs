using Understudy.Protection.Ports;

namespace Understudy.Protection.Source.Guest;

/// <summary>Whose a disk of a VM is.</summary>
public enum DiskBelonging
{
    /// <summary>The VM's alone: a second copy of the VM must not write it.</summary>
    Own,

    /// <summary>Made to be written by several VMs at once; it is no VM's own.</summary>
    Shared,

    /// <summary>A medium in a drive, or a disk the VM only reads: other VMs of the host may use the same file.</summary>
    ReadOnly,

    /// <summary>The VM's alone, and first seen when the VM was not owned here any more: whether the other side has it, nobody
    /// can say.</summary>
    Late,
}

/// <summary>A disk of a protected VM on this host, as it was when the VM was last owned here.</summary>
/// <param name="Source">Its path, or what the hypervisor calls it.</param>
/// <param name="IsPath">It is a file or block device of this host.</param>
/// <param name="After">Where it took another one's place, or came: the highest sequence that the replica's records had by then.
/// Only a later point holds it. Null for what was there when the protection began.</param>
public sealed record NotedDisk(string TargetDevice, string Source, bool IsPath, DiskBelonging Belongs, ulong? After = null)
{
    /// <summary>For a disk that came while a cycle was being read: which point is the first with it is known when that has its
    /// records. Until then none has it.</summary>
    public const ulong Undecided = ulong.MaxValue;

    private const string Devices = "/dev/";

    /// <summary>What can be deleted: a block device is somebody else's to give and to take.</summary>
    public bool IsFile => IsPath && !IsDevice(Source);

    public static bool IsDevice(string path) => path.StartsWith(Devices, StringComparison.Ordinal);

    /// <param name="before">The disks as they were noted last: a volume whose pool is not started is still where it was.</param>
    /// <param name="used">The highest sequence ever given to a record of the replica, or <see cref="Undecided"/>.</param>
    public static IReadOnlyList<NotedDisk> Of(VmFacts vm, IReadOnlyList<NotedDisk> before, ulong used)
    {
        List<NotedDisk> disks = [];
        foreach (VmDiskFacts disk in vm.Disks)
        {
            if (disk.Source is not { } source)
            {
                continue; // An empty drive.
            }

            NotedDisk? known = before.FirstOrDefault(known => known.TargetDevice == disk.TargetDevice && known.IsPath);
            disks.Add(disk.Path is null && disk.SourceType == "volume" && known is not null
                ? known with { Belongs = BelongingOf(disk) }
                : new NotedDisk(disk.TargetDevice, source, disk.Path is not null, BelongingOf(disk), AfterOf(disk.TargetDevice, source)));
        }

        return disks;

        ulong? AfterOf(string device, string source) => before.Count == 0 ? null
            : before.FirstOrDefault(known => known.TargetDevice == device && known.Source == source) is { } same && same.After != Undecided ? same.After
            : used;
    }

    /// <summary>What the VM has now beside what was noted while it was owned here: a disk that came just before it left.</summary>
    public static IReadOnlyList<NotedDisk> LateOf(VmFacts vm, IReadOnlyList<NotedDisk> noted) =>
    [
        .. Of(vm, noted, used: 0)
            .Where(disk => noted.All(known => known.Source != disk.Source))
            .Select(disk => (disk.Belongs == DiskBelonging.Own ? disk with { Belongs = DiskBelonging.Late } : disk) with { After = null }),
    ];

    /// <summary>What the start guard watches: the VM's own disks, also those that are not replicated. A CD image in its drive, or
    /// a disk it shares, must hinder no other VM; the VM itself is known by its id all the same.</summary>
    public static IReadOnlyList<string> Guarded(IReadOnlyList<NotedDisk> disks) =>
        [.. disks.Where(disk => disk is { IsPath: true, Belongs: DiskBelonging.Own or DiskBelonging.Late }).Select(disk => disk.Source)];

    private static DiskBelonging BelongingOf(VmDiskFacts disk) =>
        disk.ReadOnly || disk.Device is "cdrom" or "floppy" ? DiskBelonging.ReadOnly
        : disk.Shareable ? DiskBelonging.Shared
        : DiskBelonging.Own;
}
