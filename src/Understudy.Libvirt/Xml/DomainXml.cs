using System.Globalization;
using System.Xml.Linq;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Definition;

namespace Understudy.Libvirt.Xml;

/// <summary>What a domain definition says, without asking anyone: sizes and states come from libvirt.</summary>
internal sealed record DomainDescription(
    string Name,
    int Cpus,
    long MemoryBytes,
    string Firmware,
    string MachineType,
    bool HasGuestAgentChannel,
    IReadOnlyList<VmDiskFacts> Disks,
    IReadOnlyList<VmNicFacts> Nics,
    IReadOnlyList<string> Tags,
    MachineNeeds Needs,
    IReadOnlyList<string> LeftBehind);

/// <summary>What counts at the next start, here or elsewhere.</summary>
internal sealed record StoredDescription(IReadOnlyList<string> Tags, MachineNeeds Needs, IReadOnlyList<string> LeftBehind);

/// <summary>Reads domain XML. Pure.</summary>
internal static class DomainXml
{
    /// <summary>Where the owner of a VM writes its tags: libvirt keeps the metadata of others with the definition, untouched.</summary>
    private static readonly XNamespace _tags = "urn:understudy:tags:1";

    private static readonly char[] _betweenTags = [',', ' ', '\t', '\r', '\n'];

    private const string GuestAgentChannel = "org.qemu.guest_agent.0";

    /// <summary>Names of disks that Understudy has given to a running VM for a while, a recovery point of another: no part of
    /// what the VM is, and not protected with it (TST-3).</summary>
    private const string GivenOutPrefix = "ua-understudy-";

    public static DomainDescription Read(string xml)
    {
        XElement domain = SafeXml.Parse(xml);
        XElement? devices = domain.Element("devices");
        return new DomainDescription(
            domain.Element("name")?.Value ?? "",
            ReadCpus(domain),
            ReadMemory(domain.Element("currentMemory") ?? domain.Element("memory")),
            ReadFirmware(domain.Element("os")),
            domain.Element("os")?.Element("type").Text("machine") ?? "",
            devices?.Elements("channel").Any(channel => channel.Element("target").Text("name") == GuestAgentChannel) ?? false,
            [.. devices?.Elements("disk").Where(disk => !IsGivenOut(disk)).Select(ReadDisk) ?? []],
            [.. devices?.Elements("interface").Select(ReadNic) ?? []],
            ReadTags(domain),
            ReadNeeds(domain),
            SourceThings.LeftBehind(domain));
    }

    public static StoredDescription ReadStored(string xml)
    {
        XElement domain = SafeXml.Parse(xml);
        return new StoredDescription(ReadTags(domain), ReadNeeds(domain), SourceThings.LeftBehind(domain));
    }

    /// <summary>True while the disk's copy or active commit can be pivoted: QEMU has said ready, which "done equals total" alone does not mean.</summary>
    public static bool IsMirrorReady(string xml, string targetDevice) =>
        SafeXml.Parse(xml).Element("devices")?.Elements("disk")
            .FirstOrDefault(disk => disk.Element("target").Text("dev") == targetDevice)
            ?.Element("mirror").Text("ready") == "yes";

    /// <summary>The definitions of those NICs whose cable is to be turned, with the cable turned.</summary>
    public static IReadOnlyList<string> LinksTurned(string xml, bool up)
    {
        List<string> turned = [];
        foreach (XElement nic in SafeXml.Parse(xml).Element("devices")?.Elements("interface") ?? [])
        {
            string wanted = up ? "up" : "down";
            if ((nic.Element("link").Text("state") ?? "up") != wanted)
            {
                nic.Elements("link").Remove();
                nic.Add(new XElement("link", new XAttribute("state", wanted)));
                turned.Add(nic.ToString(SaveOptions.DisableFormatting));
            }
        }

        return turned;
    }

    private static string[] ReadTags(XElement domain) =>
    [
        .. (domain.Element("metadata")?.Element(_tags + "tags")?.Value ?? "")
            .Split(_betweenTags, StringSplitOptions.RemoveEmptyEntries)
            .Distinct(StringComparer.Ordinal),
    ];

    private static MachineNeeds ReadNeeds(XElement domain)
    {
        XElement? os = domain.Element("os");
        XElement? cpu = domain.Element("cpu");
        bool named = cpu?.Element("model") is { IsEmpty: false } && cpu.Text("mode") is null or "custom";
        string? mode = cpu is null ? null : cpu.Text("mode") ?? (named ? "custom" : null);
        return new MachineNeeds(
            domain.Text("type") ?? "",
            os?.Element("type").Text("arch") ?? "",
            os?.Element("type").Text("machine") ?? "",
            mode,
            named ? cpu!.Element("model")!.Value : null, // as it says
            cpu.Text("check") != "none",
            named ? cpu!.ToString(SaveOptions.DisableFormatting) : null, // as above
            os.Text("firmware"),
            os?.Element("loader")?.Value is { Length: > 0 } loader ? loader : null,
            os?.Element("nvram").Text("template"),
            os?.Element("kernel")?.Value is { Length: > 0 } kernel ? kernel : null,
            os?.Element("initrd")?.Value is { Length: > 0 } initrd ? initrd : null);
    }

    /// <summary>The attribute counts the CPUs in use where some of the maximum are unplugged.</summary>
    private static int ReadCpus(XElement domain) =>
        int.TryParse(domain.Element("vcpu").Text("current") ?? domain.Element("vcpu")?.Value, CultureInfo.InvariantCulture, out int cpus) ? cpus : 1;

    private static long ReadMemory(XElement? memory)
    {
        if (!long.TryParse(memory?.Value, CultureInfo.InvariantCulture, out long amount))
        {
            return 0;
        }

        long unit = memory.Text("unit") switch
        {
            "b" or "bytes" => 1,
            "KB" => 1000,
            "MB" => 1000_000,
            "GB" => 1000_000_000,
            "TB" => 1000_000_000_000,
            "M" or "MiB" => 1L << 20,
            "G" or "GiB" => 1L << 30,
            "T" or "TiB" => 1L << 40,
            _ => 1L << 10, // Libvirt's own unit, and what it prints always.
        };
        return amount > long.MaxValue / unit ? long.MaxValue : amount * unit;
    }

    private static string ReadFirmware(XElement? os) =>
        os.Text("firmware") == "efi" || os?.Element("loader").Text("type") == "pflash" ? "uefi" : "bios";

    private static VmDiskFacts ReadDisk(XElement disk)
    {
        XElement? target = disk.Element("target");
        return new VmDiskFacts(
            target.Text("dev") ?? "",
            target.Text("bus") ?? "",
            disk.Text("device") ?? "disk",
            disk.Element("driver").Text("type") ?? "raw",
            disk.Text("type") ?? "file",
            ReadSource(disk.Element("source")),
            SizeBytes: 0,
            disk.Element("readonly") is not null,
            disk.Element("shareable") is not null);
    }

    private static bool IsGivenOut(XElement disk) =>
        disk.Element("alias").Text("name")?.StartsWith(GivenOutPrefix, StringComparison.Ordinal) == true;

    private static string? ReadSource(XElement? source)
    {
        if (source is null)
        {
            return null; // An empty drive.
        }

        string? plain = source.Text("file") ?? source.Text("dev") ?? source.Text("dir");
        if (plain is not null)
        {
            return plain;
        }

        return source.Text("pool") is { } pool
            ? $"{pool}/{source.Text("volume")}"
            : $"{source.Text("protocol") ?? source.Text("type") ?? "unknown"}:{source.Text("name")}";
    }

    private static VmNicFacts ReadNic(XElement nic)
    {
        XElement? source = nic.Element("source");
        return new VmNicFacts(
            nic.Element("mac").Text("address") ?? "",
            source.Text("network") ?? source.Text("bridge") ?? source.Text("dev"),
            nic.Element("model").Text("type") ?? "");
    }
}
