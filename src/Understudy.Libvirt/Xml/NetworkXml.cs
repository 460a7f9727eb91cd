using System.Xml.Linq;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Xml;

/// <summary>Reads network XML. Pure.</summary>
internal static class NetworkXml
{
    /// <summary>Isolated: guests reach each other and the host's bridge, nothing beyond. Libvirt's word for that is no forward element.</summary>
    public static NetworkFacts Read(string xml, bool active)
    {
        XElement network = SafeXml.Parse(xml);
        XElement? forward = network.Element("forward");
        return new NetworkFacts(
            network.Element("name")?.Value ?? "",
            active,
            forward is null || forward.Text("mode") == "none",
            network.Element("bridge").Text("name"));
    }
}
