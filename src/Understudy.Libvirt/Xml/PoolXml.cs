using System.Xml.Linq;

namespace Understudy.Libvirt.Xml;

/// <summary>Reads storage pool XML. Pure.</summary>
internal static class PoolXml
{
    /// <summary>Where the volume of that name is, in a pool whose volumes are the entries of one folder; null for other kinds.</summary>
    public static string? PathOf(string xml, string volume)
    {
        XElement pool = SafeXml.Parse(xml);
        return pool.Text("type") is "dir" or "fs" or "netfs" or "logical" && pool.Element("target")?.Element("path")?.Value is { Length: > 0 } folder
            ? $"{folder.TrimEnd('/')}/{volume}"
            : null;
    }
}
