using System.Globalization;

namespace Understudy.Protection.Target.Definition;

/// <summary>New addresses for network cards, in the prefix that QEMU guests use everywhere (52:54:00).</summary>
public static class MacAddress
{
    public static string FromRandom(UInt128 random)
    {
        ulong low = (ulong)random;
        return string.Create(CultureInfo.InvariantCulture, $"52:54:00:{(low >> 16) & 0xff:x2}:{(low >> 8) & 0xff:x2}:{low & 0xff:x2}");
    }
}
