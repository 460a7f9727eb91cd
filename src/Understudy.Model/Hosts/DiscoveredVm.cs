using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>A VM as its host's agent sees it.</summary>
/// <param name="Tags">That its owner gave it in its definition (docs/operations/commands.md); null from an agent that reads none.</param>
/// <param name="Needs">Of a host that starts it; null from an agent that does not say.</param>
/// <param name="OnlyWhileProtected">The host's rule hides it; it is shown until it is not protected any more.</param>
/// <param name="HasSavedState">It is off, and its memory is kept: its disks alone are not the whole VM.</param>
/// <param name="LeftBehind">Devices of its host that it starts without elsewhere; null from an agent that does not say.</param>
public sealed record DiscoveredVm(
    VmId Id,
    string Name,
    VmPower Power,
    int Cpus,
    long MemoryBytes,
    string Firmware,
    string MachineType,
    bool Persistent,
    bool HasGuestAgentChannel,
    bool HasSnapshots,
    IReadOnlyList<DiscoveredDisk> Disks,
    IReadOnlyList<DiscoveredNic> Nics,
    IReadOnlyList<string>? Tags = null,
    bool OnlyWhileProtected = false,
    MachineNeeds? Needs = null,
    bool HasSavedState = false,
    IReadOnlyList<string>? LeftBehind = null);

/// <param name="Device">disk, cdrom, floppy, …: only "disk" is replicated.</param>
/// <param name="Source">Path of the image, or the source as the hypervisor names it.</param>
public sealed record DiscoveredDisk(
    string TargetDevice,
    string Bus,
    string Device,
    string Format,
    string SourceType,
    string? Source,
    long SizeBytes,
    bool ReadOnly,
    bool Shareable);

public sealed record DiscoveredNic(string Mac, string? Network, string Model);
