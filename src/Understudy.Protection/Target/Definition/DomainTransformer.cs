using System.Xml;
using System.Xml.Linq;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target.Definition;

/// <summary>
/// Turns the definition of a source VM into one that starts on this host: pure, text in, text out. What the guest can
/// see stays (machine type, CPU, memory, firmware, buses and their addresses, serial numbers); what belongs to the
/// source host goes (image paths, host devices, pinning, labels, sockets). What an owner may notice is in the notes.
/// docs/decisions/domain-transformation.md has the table.
/// </summary>
public static class DomainTransformer
{
    /// <summary>Namespace of the product's own elements in a domain's metadata.</summary>
    public static readonly XNamespace Metadata = "urn:understudy:domain:1";

    /// <exception cref="RefusedException">The definition cannot be read, lacks a replicated disk, or has a card whose
    /// network is not mapped.</exception>
    public static TransformedDomain Transform(string sourceXml, DomainTransform transform)
    {
        if (!VmNames.IsLawful(transform.Name))
        {
            throw new RefusedException(
                RefusalCode.NameUnlawful,
                $"'{transform.Name}' cannot be the name of a VM here: 1 to 63 letters, digits and hyphens, with a letter or digit at both ends.",
                $"Use '{VmNames.Propose(transform.Name)}'.");
        }

        XElement domain = Parse(sourceXml);
        List<string> notes = [];
        Identify(domain, transform);
        SizeRules.Apply(domain, transform.Size, notes);
        AdaptProcessor(domain, transform.Target, notes);
        DropHostTuning(domain, notes);
        AdaptFirmware(domain, notes);
        HostFileRules.Apply(domain, notes);
        XElement devices = domain.Element("devices")
            ?? throw Unreadable("it has no devices");
        DiskRules.Apply(devices, transform.Disks, notes);
        NicRules.Apply(devices, transform.Networks, transform.Name, notes);
        DeviceRules.Apply(devices, transform, notes);
        return new TransformedDomain(domain.ToString(), notes);
    }

    /// <summary>Name of the VM in a definition.</summary>
    public static string NameOf(string xml) => Parse(xml).Element("name")?.Value ?? throw Unreadable("it has no name");

    /// <summary>Source networks of the VM's cards, each once, in the definition's order.</summary>
    public static IReadOnlyList<string> NetworksOf(string xml) =>
        [.. (Parse(xml).Element("devices")?.Elements("interface") ?? []).Select(NicRules.NetworkOf).OfType<string>().Distinct()];

    internal static XElement Parse(string xml)
    {
        try
        {
            using XmlReader reader = XmlReader.Create(new StringReader(xml), new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit });
            XElement root = XElement.Load(reader);
            return root.Name == "domain" ? root : throw Unreadable($"its root is <{root.Name.LocalName}>");
        }
        catch (XmlException unreadable)
        {
            throw Unreadable(unreadable.Message);
        }
    }

    internal static RefusedException Unreadable(string why) =>
        new(RefusalCode.Definition, $"The VM's definition in this recovery point cannot be used: {why}.", "Choose another recovery point.");

    private static void Identify(XElement domain, DomainTransform transform)
    {
        domain.Attribute("id")?.Remove();
        domain.SetElementValue("name", transform.Name);
        domain.SetElementValue("uuid", transform.Id.ToString());
        domain.Element("metadata")?.Elements().Where(element => element.Name.Namespace == Metadata).Remove();

        // libvirt insists that the SMBIOS entry equals the domain's uuid.
        domain.Elements("sysinfo").Elements("system").Elements("entry").Where(entry => (string?)entry.Attribute("name") == "uuid").Remove();

        // The guest's state goes back in time: an empty element makes libvirt mint a new generation id, and guests that
        // know it (domain controllers, databases) notice.
        if (domain.Element("genid") is { } generation)
        {
            generation.RemoveNodes();
        }
    }

    private static void AdaptProcessor(XElement domain, TargetCapabilities target, List<string> notes)
    {
        if (target.HardwareAcceleration || (string?)domain.Attribute("type") != "kvm")
        {
            return;
        }

        domain.SetAttributeValue("type", "qemu");
        notes.Add("This host has no KVM: the guest runs emulated, and slowly.");
        if (domain.Element("cpu") is not { } cpu)
        {
            return;
        }

        if ((string?)cpu.Attribute("mode") is "host-passthrough" or "host-model")
        {
            // Both describe the source's processor; neither is allowed under emulation. Topology stays.
            cpu.RemoveAttributes();
            cpu.SetAttributeValue("mode", "maximum");
            cpu.Elements().Where(element => element.Name.LocalName is "model" or "feature" or "vendor" or "cache" or "maxphysaddr").Remove();
        }
        else
        {
            cpu.SetAttributeValue("check", "none");
        }
    }

    private static void DropHostTuning(XElement domain, List<string> notes)
    {
        domain.Elements("resource").Remove();
        domain.Elements("seclabel").Where(label => (string?)label.Attribute("type") != "none").Remove();
        domain.Element("vcpu")?.Attribute("cpuset")?.Remove();
        bool pinned = domain.Elements("numatune").Any();
        domain.Elements("numatune").Remove();
        if (domain.Element("cputune") is { } tuning)
        {
            XElement[] pins = [.. tuning.Elements().Where(element => element.Name.LocalName is "vcpupin" or "emulatorpin" or "iothreadpin" or "cachetune" or "memorytune" or "vcpusched" or "iothreadsched" or "emulatorsched")];
            pinned |= pins.Length > 0;
            pins.Remove();
        }

        if (pinned)
        {
            notes.Add("Pinning to the source host's processors and memory nodes was left out.");
        }

        if (domain.Elements("memoryBacking").Elements("hugepages").Any())
        {
            domain.Elements("memoryBacking").Elements("hugepages").Remove();
            notes.Add("Huge pages were left out: this host may have none reserved.");
        }
    }

    /// <summary>Firmware stays; the file with its variables is named by this host's libvirt (by VM name, so a test does
    /// not write into the VM's own), from the template the definition names.</summary>
    private static void AdaptFirmware(XElement domain, List<string> notes)
    {
        if (domain.Element("os")?.Element("nvram") is not { } nvram)
        {
            return;
        }

        XAttribute? template = nvram.Attribute("template");
        nvram.RemoveAll();
        nvram.Add(template);
        notes.Add("Firmware variables start from the template.");
    }
}
