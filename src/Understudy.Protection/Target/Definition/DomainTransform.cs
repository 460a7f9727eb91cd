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
    TargetCapabilities Target,
    VmSize Size);

/// <summary>Processors and memory at this side; null as in the recovery point.</summary>
public sealed record VmSize(int? Cpus = null, long? MemoryBytes = null)
{
    public static VmSize AsInPoint { get; } = new();
}

public sealed record DiskImage(string Path, string Format);

/// <param name="HardwareAcceleration">The host has KVM; without it the guest runs emulated.</param>
public sealed record TargetCapabilities(bool HardwareAcceleration);

/// <summary>Where the VM's network cards are plugged in.</summary>
public abstract record NetworkPlacement
{
    private NetworkPlacement()
    {
    }

    /// <summary>Each card by its own plan.</summary>
    /// <param name="Rest">For cards without one; null refuses such a card, naming its source network.</param>
    public sealed record Planned(IReadOnlyList<CardPlan> Cards, NetworkPlacement? Rest = null) : NetworkPlacement;

    /// <summary>All cards on one network, addresses kept.</summary>
    public sealed record All(string Network) : NetworkPlacement;

    /// <summary>No cards at all.</summary>
    public sealed record None : NetworkPlacement;
}

/// <param name="Mac">The card, by its address at the source.</param>
/// <param name="Network">A network of this host; null leaves the card out.</param>
/// <param name="NewMac">Null keeps the source's address.</param>
public sealed record CardPlan(string Mac, string? Network, string? NewMac = null)
{
    /// <summary>Plans for one card.</summary>
    public static bool AreSame(CardPlan left, CardPlan right) => string.Equals(left.Mac, right.Mac, StringComparison.OrdinalIgnoreCase);
}

/// <param name="Notes">What of the source's definition was left out or changed in a way its owner may notice.</param>
public sealed record TransformedDomain(string Xml, IReadOnlyList<string> Notes);
