using System.Globalization;
using System.Xml.Linq;

namespace Understudy.Libvirt.Xml;

/// <summary>The user and group QEMU runs as.</summary>
internal readonly record struct QemuUser(uint UserId, uint GroupId);

/// <param name="QemuUser">Null when libvirt does not switch users (a session daemon, or the driver is off).</param>
/// <param name="CpuModel">The host's processor, by the nearest name that libvirt has for it.</param>
internal sealed record HostCapabilities(
    string Architecture, string? Emulator, IReadOnlyList<string> MachineTypes, QemuUser? QemuUser, string? CpuModel = null);

/// <param name="Firmwares">That libvirt can choose by itself.</param>
internal sealed record DomainCapabilities(IReadOnlyList<string> Firmwares);

/// <summary>Reads virConnectGetCapabilities and virConnectGetDomainCapabilities. Pure.</summary>
internal static class CapabilitiesXml
{
    public static HostCapabilities Read(string xml)
    {
        XElement capabilities = SafeXml.Parse(xml);
        XElement? host = capabilities.Element("host");
        string architecture = host?.Element("cpu")?.Element("arch")?.Value ?? "x86_64";
        XElement? guest = capabilities.Elements("guest")
            .Where(guest => guest.Element("os_type")?.Value == "hvm")
            .Select(guest => guest.Element("arch"))
            .FirstOrDefault(arch => arch.Text("name") == architecture);
        return new HostCapabilities(
            architecture,
            guest?.Element("emulator")?.Value,
            [.. (guest?.Elements("machine") ?? []).Select(machine => machine.Value).Distinct().Order(StringComparer.Ordinal)],
            ReadQemuUser(host),
            host?.Element("cpu")?.Element("model")?.Value);
    }

    public static DomainCapabilities ReadDomain(string domainCapabilitiesXml) => new(
    [
        .. (SafeXml.Parse(domainCapabilitiesXml).Element("os")?.Elements("enum") ?? [])
            .Where(choice => choice.Text("name") == "firmware")
            .Elements("value")
            .Select(value => value.Value)
            .Order(StringComparer.Ordinal),
    ]);

    /// <summary>Domain capabilities for KVM that libvirt gives although the device cannot be used carry another domain type.</summary>
    public static bool IsKvm(string domainCapabilitiesXml) => SafeXml.Parse(domainCapabilitiesXml).Element("domain")?.Value == "kvm";

    /// <summary>The label is "+64055:+107"; plain names do not occur, libvirt resolves them.</summary>
    private static QemuUser? ReadQemuUser(XElement? host)
    {
        string? label = host?.Elements("secmodel")
            .FirstOrDefault(model => model.Element("model")?.Value == "dac")
            ?.Elements("baselabel")
            .FirstOrDefault(label => label.Text("type") == "qemu")
            ?.Value;
        string[] parts = label?.Split(':') ?? [];
        return parts.Length == 2 && TryId(parts[0], out uint user) && TryId(parts[1], out uint group) ? new QemuUser(user, group) : null;
    }

    private static bool TryId(string text, out uint id) =>
        uint.TryParse(text.TrimStart('+'), NumberStyles.None, CultureInfo.InvariantCulture, out id);
}
