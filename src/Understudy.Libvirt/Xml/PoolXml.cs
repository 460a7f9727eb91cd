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

    /// <summary>Where the volume of that name is, in a pool whose volumes are the entries of one folder; null for other kinds.</summary>
    public static string? PathOf(string xml, string volume)
    {
        XElement pool = SafeXml.Parse(xml);
        return pool.Text("type") is "dir" or "fs" or "netfs" or "logical" && pool.Element("target")?.Element("path")?.Value is { Length: > 0 } folder
            ? $"{folder.TrimEnd('/')}/{volume}"
            : null;
    }
}
