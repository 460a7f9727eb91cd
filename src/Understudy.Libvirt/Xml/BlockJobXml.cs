using System.Xml.Linq;

namespace Understudy.Libvirt.Xml;

/// <summary>Builds what block jobs and redefined checkpoints are asked with. Pure.</summary>
internal static class BlockJobXml
{
    public static string CopyDestination(string path, string format) =>
        new XElement(
            "disk",
            new XAttribute("type", "file"),
            new XElement("driver", new XAttribute("name", "qemu"), new XAttribute("type", format)),
            new XElement("source", new XAttribute("file", path)))
        .ToString(SaveOptions.DisableFormatting);

    /// <summary>
    /// A checkpoint whose bitmap of the same name is in the images already. Libvirt wants the whole domain inside, and
    /// every disk named: those without a bitmap explicitly so.
    /// </summary>
    public static string RedefinedCheckpoint(string name, DateTimeOffset created, IReadOnlyList<string> targetDevices, string domainXml)
    {
        XElement domain = SafeXml.Parse(domainXml);
        domain.Attribute("id")?.Remove();
        IEnumerable<string> others = DomainXml.Read(domainXml).Disks.Select(disk => disk.TargetDevice).Except(targetDevices);
        return new XElement(
            "domaincheckpoint",
            new XElement("name", name),
            new XElement("creationTime", created.ToUnixTimeSeconds()),
            new XElement(
                "disks",
                targetDevices.Select(disk => new XElement(
                    "disk", new XAttribute("name", disk), new XAttribute("checkpoint", "bitmap"), new XAttribute("bitmap", name))),
                others.Select(disk => new XElement("disk", new XAttribute("name", disk), new XAttribute("checkpoint", "no")))),
            domain)
        .ToString(SaveOptions.DisableFormatting);
    }
}
