using System.Globalization;
using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>
/// The bubble of a test: a network of its own without any way out. Addresses for guests that ask are from
/// 198.18.0.0/15, which is set aside for tests and routed nowhere; guests with fixed addresses keep them.
/// </summary>
public sealed record TestNetwork(string Name, string Bridge, string Xml)
{
    /// <summary>As many as 198.18.0.0/15 has subnets of 256 addresses.</summary>
    public const int Count = 512;

    /// <param name="number">Chooses bridge and subnet; the caller takes one that is free on the host.</param>
    public static TestNetwork For(string vmName, Guid run, int number)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(number, Count);
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        string name = $"{vmName}-bubble";
        string bridge = BridgeFor(number);
        string subnet = string.Create(CultureInfo.InvariantCulture, $"198.{18 + (number / 256)}.{number % 256}");

        // No <forward>: libvirt's isolated mode. Its dnsmasq then hands out no default route and forwards no names.
        XElement network = new(
            "network",
            new XElement("name", name),
            new XElement("uuid", run.ToString("D")),
            new XElement("bridge", new XAttribute("name", bridge), new XAttribute("stp", "off"), new XAttribute("delay", "0")),
            new XElement("dns", new XAttribute("enable", "no")),
            new XElement(
                "ip",
                new XAttribute("address", $"{subnet}.1"),
                new XAttribute("netmask", "255.255.255.0"),
                new XElement("dhcp", new XElement("range", new XAttribute("start", $"{subnet}.10"), new XAttribute("end", $"{subnet}.250")))));
        return new TestNetwork(name, bridge, network.ToString());
    }

    /// <summary>Interface names end at 15 characters.</summary>
    public static string BridgeFor(int number) => string.Create(CultureInfo.InvariantCulture, $"us-bubble{number}");
}
