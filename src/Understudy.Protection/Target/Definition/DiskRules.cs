using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>Disks: replicated ones are put onto images of this host and stop the guest on any I/O error (the watcher
/// resumes it); other disks are left out; drives with removable media stay, empty.</summary>
internal static class DiskRules
{
    public static void Apply(XElement devices, IReadOnlyDictionary<string, DiskImage> images, List<string> notes)
    {
        HashSet<string> placed = [];
        foreach (XElement disk in devices.Elements("disk").ToArray())
        {
            string device = (string?)disk.Element("target")?.Attribute("dev")
                ?? throw DomainTransformer.Unreadable("a disk has no target device");
            if ((string?)disk.Attribute("device") is "cdrom" or "floppy")
            {
                Eject(disk, device, notes);
            }
            else if (images.TryGetValue(device, out DiskImage? image))
            {
                Place(disk, image);
                placed.Add(device);
            }
            else
            {
                disk.Remove();
                notes.Add($"Disk {device} is not replicated and was left out.");
            }
        }

        string[] missing = [.. images.Keys.Where(device => !placed.Contains(device)).Order(StringComparer.Ordinal)];
        if (missing.Length > 0)
        {
            throw DomainTransformer.Unreadable($"it has no disk {string.Join(", ", missing)}, which the recovery point holds");
        }
    }

    private static void Place(XElement disk, DiskImage image)
    {
        XElement? driver = disk.Element("driver");
        XElement placed = new("driver", new XAttribute("name", "qemu"), new XAttribute("type", image.Format));
        foreach (string kept in (string[])["cache", "io", "detect_zeroes", "iothread", "queues", "queue_size", "event_idx", "packed", "iommu", "ats", "page_per_vq"])
        {
            placed.Add(driver?.Attribute(kept));
        }

        // A cache that loses flushed writes has no place under a VM whose other copy is gone.
        if ((string?)placed.Attribute("cache") is null or "unsafe" or "default")
        {
            placed.SetAttributeValue("cache", "none");
        }

        if ((string?)placed.Attribute("io") == "io_uring" || ((string?)placed.Attribute("io") == "native" && (string?)placed.Attribute("cache") is not ("none" or "directsync")))
        {
            placed.SetAttributeValue("io", null);
        }

        placed.SetAttributeValue("discard", "unmap");
        placed.SetAttributeValue("error_policy", "stop");
        placed.SetAttributeValue("rerror_policy", "stop");

        disk.Elements().Where(element => element.Name.LocalName is "driver" or "source" or "backingStore" or "mirror"
            or "encryption" or "auth" or "shareable" or "transient" or "readonly").Remove();
        disk.AddFirst(placed, new XElement("source", new XAttribute("file", image.Path)));
        disk.SetAttributeValue("type", "file");
        disk.SetAttributeValue("device", "disk");
        foreach (string dropped in (string[])["sgio", "rawio", "snapshot", "model"])
        {
            // "model" stays only where it names a virtio generation.
            if (dropped != "model" || (string?)disk.Attribute(dropped) is { } model && !model.StartsWith("virtio", StringComparison.Ordinal))
            {
                disk.SetAttributeValue(dropped, null);
            }
        }
    }

    private static void Eject(XElement disk, string device, List<string> notes)
    {
        if (disk.Element("source") is not null)
        {
            notes.Add($"The medium in drive {device} was ejected: it is on the source host.");
        }

        disk.Elements().Where(element => element.Name.LocalName is "source" or "backingStore" or "mirror" or "auth" or "encryption").Remove();
        disk.SetAttributeValue("type", "file");
    }
}
