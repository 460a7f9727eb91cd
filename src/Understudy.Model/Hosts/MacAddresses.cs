using System.Globalization;

namespace Understudy.Model;

/// <summary>Addresses of network cards as libvirt writes them.</summary>
public static class MacAddresses
{
    /// <summary>Said instead of an address: the one that the card has at the source.</summary>
    public const string Keep = "keep";

    private const int Bytes = 6;

    /// <summary>True for one that a card can have: six bytes, not a group's address.</summary>
    public static bool IsLawful(string? text)
    {
        string[] parts = text?.Split(':') ?? [];
        return parts.Length == Bytes
            && parts.All(part => part.Length == 2 && byte.TryParse(part, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _))
            && (byte.Parse(parts[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) & 1) == 0;
    }
}
