using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target.Definition;

public enum TransformKind
{
    /// <summary>A copy beside the original: new identity, thrown away later.</summary>
    Test,

    /// <summary>The VM itself, going on here.</summary>
    Failover,
}

/// <summary>How a source VM's definition becomes one that starts on this host.</summary>
/// <param name="Disks">Images by target device; a disk of the source that is not named here is left out.</param>
/// <param name="LogFolder">Where files that the guest's serial ports write to go.</param>
public sealed record DomainTransform(
    TransformKind Kind,
    string Name,
    VmId Id,
    IReadOnlyDictionary<string, DiskImage> Disks,
    NetworkPlacement Networks,
    string LogFolder,
    TargetCapabilities Target);

public sealed record DiskImage(string Path, string Format);

/// <param name="HardwareAcceleration">The host has KVM; without it the guest runs emulated.</param>
public sealed record TargetCapabilities(bool HardwareAcceleration);

/// <summary>Where the VM's network cards are plugged in.</summary>
public abstract record NetworkPlacement
{
    private NetworkPlacement()
    {
    }

    /// <summary>Each card by the map of its source network; a card whose network is not in the map is refused.</summary>
    public sealed record Mapped(IReadOnlyDictionary<string, NetworkMapping> Map) : NetworkPlacement;

    /// <summary>All cards on one network. <paramref name="NewMacs"/> by the source's address; empty keeps them.</summary>
    public sealed record All(string Network, IReadOnlyDictionary<string, string> NewMacs) : NetworkPlacement;

    /// <summary>No cards at all.</summary>
    public sealed record None : NetworkPlacement;
}

/// <param name="NewMacs">By the source's address; a card that is not named keeps its address.</param>
public sealed record NetworkMapping(string TargetNetwork, IReadOnlyDictionary<string, string> NewMacs)
{
    public static NetworkMapping KeepingMacs(string targetNetwork) => new(targetNetwork, new Dictionary<string, string>());
}

/// <param name="Notes">What of the source's definition was left out or changed in a way its owner may notice.</param>
public sealed record TransformedDomain(string Xml, IReadOnlyList<string> Notes);
