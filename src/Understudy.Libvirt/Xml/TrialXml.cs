using System.Xml.Linq;

namespace Understudy.Libvirt.Xml;

/// <summary>A VM that has nothing; the machine is libvirt's default for this host.</summary>
internal static class TrialXml
{
    public static string For(string uuid, string name, bool kvm) => new XElement(
        "domain",
        new XAttribute("type", kvm ? "kvm" : "qemu"),
        new XElement("name", name),
        new XElement("uuid", uuid),
        new XElement("memory", new XAttribute("unit", "MiB"), 4),
        new XElement("vcpu", 1),
        new XElement("os", new XElement("type", "hvm")),
        new XElement("devices", new XElement("memballoon", new XAttribute("model", "none")))).ToString();
}
