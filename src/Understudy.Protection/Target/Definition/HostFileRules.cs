using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>
/// A definition comes from another host, and libvirtd reads the files it names as root and shows them to the guest. So a
/// name of a file of this host is believed only where no secret can be: in the folders of installed packages, and in the one
/// that libvirt keeps for kernels to boot directly. Source: libvirt's domain format, elements os, sysinfo, rng, memory, audio.
/// </summary>
internal static class HostFileRules
{
    private static readonly string[] PackageFolders = ["/usr/share/", "/usr/lib/", "/usr/lib64/"];

    /// <summary>As <see cref="PackageFolders"/>, and what an administrator put there to be booted.</summary>
    private static readonly string[] BootFolders = [.. PackageFolders, "/var/lib/libvirt/boot/"];

    private static readonly string[] RandomDevices = ["/dev/random", "/dev/urandom", "/dev/hwrng"];

    public static void Apply(XElement domain, List<string> notes)
    {
        if (domain.Element("os") is { } os)
        {
            DropUnlessIn(BootFolders, os.Elements().Where(element => element.Name.LocalName is "kernel" or "initrd" or "dtb"), notes);
            DropUnlessIn(PackageFolders, os.Elements("loader"), notes);
            DropUnlessIn(PackageFolders, os.Elements("acpi").Elements("table"), notes);
            DropUnlessIn(PackageFolders, os.Elements("nvram").Attributes("template"), notes);
        }

        foreach (XElement entry in domain.Elements("sysinfo").Elements("entry").Where(entry => entry.Attribute("file") is not null).ToArray())
        {
            Drop(entry, (string?)entry.Attribute("file"), notes);
        }

        foreach (XElement backend in domain.Elements("devices").Elements("rng").Elements("backend").ToArray())
        {
            if ((string?)backend.Attribute("model") == "random" && backend.Value.Trim() is { Length: > 0 } device && !RandomDevices.Contains(device))
            {
                backend.Value = RandomDevices[1];
            }
        }

        // QEMU's own options go past libvirt and past every rule here.
        foreach (XElement foreign in domain.Elements().Where(element => element.Name.Namespace != XNamespace.None).ToArray())
        {
            foreign.Remove();
            notes.Add($"{foreign.Name.LocalName} of {foreign.Name.NamespaceName} was left out: options that libvirt does not check are not taken from another host.");
        }
    }

    private static void DropUnlessIn(string[] folders, IEnumerable<XElement> elements, List<string> notes)
    {
        foreach (XElement element in elements.ToArray())
        {
            if (!IsIn(folders, element.Value.Trim()))
            {
                Drop(element, element.Value.Trim(), notes);
            }
        }
    }

    private static void DropUnlessIn(string[] folders, IEnumerable<XAttribute> attributes, List<string> notes)
    {
        foreach (XAttribute attribute in attributes.ToArray())
        {
            if (!IsIn(folders, attribute.Value))
            {
                attribute.Remove();
                notes.Add($"The {attribute.Name.LocalName} {attribute.Value} was left out: this host's own is used.");
            }
        }
    }

    private static void Drop(XElement element, string? path, List<string> notes)
    {
        element.Remove();
        notes.Add($"The {element.Name.LocalName} {path} was left out: a VM may name files of this host only in {string.Join(", ", BootFolders)}.");
    }

    /// <summary>By its words alone: who could put a link there is root here already.</summary>
    private static bool IsIn(string[] folders, string path) =>
        !path.Split('/').Contains("..") && folders.Any(folder => path.StartsWith(folder, StringComparison.Ordinal));
}
