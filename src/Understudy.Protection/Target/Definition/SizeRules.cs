using System.Globalization;
using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>Processors and memory that were chosen for this side; what describes the source's own number of them goes.</summary>
internal static class SizeRules
{
    public static void Apply(XElement domain, VmSize size, List<string> notes)
    {
        if (size.Cpus is { } cpus)
        {
            domain.Elements("vcpus").Remove();
            XElement vcpu = domain.Element("vcpu") ?? Add(domain, "vcpu");
            vcpu.Attribute("current")?.Remove();
            vcpu.Value = cpus.ToString(CultureInfo.InvariantCulture);
            if (domain.Element("cpu")?.Elements("topology").Any() == true)
            {
                domain.Element("cpu")!.Elements("topology").Remove();
                notes.Add("The processors' topology was left out: their number was changed.");
            }

            DropNuma(domain, notes);
        }

        if (size.MemoryBytes is { } bytes)
        {
            string kibibytes = (bytes / 1024).ToString(CultureInfo.InvariantCulture);
            domain.Elements("maxMemory").Remove();
            domain.Elements("currentMemory").Remove();
            XElement memory = domain.Element("memory") ?? Add(domain, "memory");
            memory.RemoveAttributes();
            memory.SetAttributeValue("unit", "KiB");
            memory.Value = kibibytes;
            domain.Element("devices")?.Elements("memory").Remove();
            DropNuma(domain, notes);
        }
    }

    /// <summary>Cells divide a number of processors and an amount of memory that are no longer these.</summary>
    private static void DropNuma(XElement domain, List<string> notes)
    {
        if (domain.Element("cpu")?.Elements("numa").Any() == true)
        {
            domain.Element("cpu")!.Elements("numa").Remove();
            notes.Add("The guest's memory nodes were left out: its size was changed.");
        }
    }

    private static XElement Add(XElement domain, string name)
    {
        XElement added = new(name);
        domain.Add(added);
        return added;
    }
}
