using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>
/// Leaves out what names a file of this host that it may not name (<see cref="HostFiles"/>), together with what means nothing
/// without it. Source: libvirt's domain format, elements os, sysinfo, rng, memory, audio.
/// </summary>
internal static class HostFileRules
{
    private static readonly string[] _randomDevices = ["/dev/random", "/dev/urandom"];

    /// <summary>Of no use without a kernel; QEMU refuses to start with the first two alone.</summary>
    private static readonly string[] _ofTheKernel = ["initrd", "cmdline", "dtb"];

    public static void Apply(XElement domain, List<string> notes)
    {
        if (domain.Element("os") is { } os)
        {
            ApplyToBoot(os, notes);
        }

        foreach (XElement entry in domain.Elements("sysinfo").Elements("entry").Where(entry => entry.Attribute("file") is not null).ToArray())
        {
            entry.Remove();
            notes.Add($"The firmware entry {(string?)entry.Attribute("name")} was left out: it comes from the file {(string?)entry.Attribute("file")} of the source host.");
        }

        foreach (XElement backend in domain.Elements("devices").Elements("rng").Elements("backend").ToArray())
        {
            string? model = (string?)backend.Attribute("model");
            if (model == "egd" || (model == "random" && backend.Value.Trim() is { Length: > 0 } device && !_randomDevices.Contains(device)))
            {
                // A daemon that answers at the source, a file, or a generator that not every host has.
                backend.ReplaceAll(new XAttribute("model", "random"), _randomDevices[1]);
                notes.Add($"The guest's source of random numbers was replaced by this host's {_randomDevices[1]}.");
            }
        }

        // QEMU's own options go past libvirt and past every rule here.
        foreach (XElement foreign in domain.Elements().Where(element => element.Name.Namespace != XNamespace.None).ToArray())
        {
            foreign.Remove();
            notes.Add($"{foreign.Name.LocalName} of {foreign.Name.NamespaceName} was left out: options that libvirt does not check are not taken from another host.");
        }
    }

    private static void ApplyToBoot(XElement os, List<string> notes)
    {
        foreach (XElement file in os.Elements().Where(element => element.Name.LocalName is "kernel" or "initrd" or "dtb").ToArray())
        {
            LeaveOutUnless(HostFiles.MayBeBooted(file.Value.Trim()), file, notes);
        }

        if (os.Element("kernel") is null)
        {
            os.Elements().Where(element => _ofTheKernel.Contains(element.Name.LocalName)).Remove();
        }

        foreach (XElement table in os.Elements("acpi").Elements("table").ToArray())
        {
            LeaveOutUnless(HostFiles.MayBeFirmware(table.Value.Trim()), table, notes);
        }

        foreach (XAttribute template in os.Elements("nvram").Attributes("template").Where(template => !HostFiles.MayBeFirmware(template.Value)).ToArray())
        {
            template.Remove();
            notes.Add($"The template {template.Value} of the firmware's variables was left out: this host's own is used.");
        }

        foreach (XElement loader in os.Elements("loader").Where(loader => loader.Value.Length > 0).ToArray())
        {
            if (!LeaveOutUnless(HostFiles.MayBeFirmware(loader.Value.Trim()), loader, notes))
            {
                os.Elements("nvram").Remove(); // They are that firmware's.
            }
        }
    }

    private static bool LeaveOutUnless(bool mayStay, XElement element, List<string> notes)
    {
        if (!mayStay)
        {
            element.Remove();
            notes.Add($"The {element.Name.LocalName} {element.Value.Trim()} was left out: a VM from another host may name files of this one only in {HostFiles.Folders}.");
        }

        return mayStay;
    }
}
