using System.Xml.Linq;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Xml;

/// <summary>Reads the XML of a storage pool. Pure.</summary>
internal static class PoolXml
{
    public static PoolFacts Read(string xml, bool active)
    {
        XElement pool = SafeXml.Parse(xml);
        return new PoolFacts(pool.Element("name")?.Value ?? "", pool.Text("type") ?? "", pool.Element("target")?.Element("path")?.Value, active);
    }
}
